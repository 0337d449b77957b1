complete -c tscut -l from -d 'Where to begin [default: the beginning]' -r
complete -c tscut -l to -d 'Where to end, exclusive [default: the end]' -r
complete -c tscut -l duration -d 'End so long after --from' -r
complete -c tscut -l tz -d 'Read local times in this zone [default: the machine\'s]' -r
complete -c tscut -s o -l output -d 'Where to write: a file or another endpoint' -r
complete -c tscut -l format -d 'What to write; by the name of the output when not given, a transport stream in doubt' -r -f -a "ts\t'Transport stream'
mp4\t'MP4, index first'
mkv\t'Matroska'"
complete -c tscut -l service -d 'The service whose picture gives the points, by its id or name [default: the first one with a picture]' -r
complete -c tscut -l epoch -d 'In a ring whose clock was set back, which part the times are in: live or the K of epoch-K [default: the newest that has all of the range]' -r
complete -c tscut -l snap -d 'To which random-access points the times move' -r -f -a "outward\t'--from to the point at or before, --to to the one at or after'
before\t'Both to the point at or before'
after\t'Both to the point at or after'
nearest\t'Both to the nearest point'
closed\t'As outward, over closed points alone'"
complete -c tscut -l in-point -d 'Where the picture begins: at a random-access point, the only place so far' -r
complete -c tscut -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tscut -l stats -d 'Print a line of statistics at this interval' -r
complete -c tscut -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tscut -l rebase -d 'Begin the clock of the result at zero (PCR, PTS, DTS, splice times); that of MP4 and Matroska always does'
complete -c tscut -l json -d 'Print what was cut on stdout, as one JSON object'
complete -c tscut -s v -l verbose -d 'Say more on stderr'
complete -c tscut -s q -l quiet -d 'Say errors only'
complete -c tscut -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tscut -s V -l version -d 'Print version'
