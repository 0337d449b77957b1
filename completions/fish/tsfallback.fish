complete -c tsfallback -s i -l input -d 'Where packets come from, in order of priority (can be repeated)' -r
complete -c tsfallback -s o -l output -d 'Where packets go' -r
complete -c tsfallback -l slate -d 'Play this file again and again while no input is good; or make a slate with ffmpeg, like the input that is on air: \'black\' or \'bars\' (\'./black\' is a file of that name)' -r
complete -c tsfallback -l on -d 'The faults that count [default: all but bitrate; black, freeze and silence with --decode]' -r
complete -c tsfallback -l timeout -d 'No packets for so long is a loss: 50ms or more' -r
complete -c tsfallback -l cc-errors -d 'So many breaks of continuity counters in a second are a fault' -r
complete -c tsfallback -l bitrate -d 'The bit rate of an input is within these; outside is a fault' -r
complete -c tsfallback -l revert -d 'Return to an input of higher priority when it was good for so long; or \'never\'' -r
complete -c tsfallback -l hold-off -d 'Take an input that was left for a fault not again for so long, while another is good' -r
complete -c tsfallback -l template -d 'Lay the output out like the first service of this transport stream file' -r -F
complete -c tsfallback -l delay -d 'Hold the output back by so much more: the timeout and a GOP, and no frame slot is lost' -r
complete -c tsfallback -l align -d 'Take inputs of which the stamps are so far apart at most for the same programme with the same stamps: a switch then neither repeats nor skips a picture' -r
complete -c tsfallback -l skew -d 'Merge inputs that bring the same packets, one so much later than another at most: what one has lost is taken from the other; 50ms, up to 1s' -r
complete -c tsfallback -l cbr -d 'Stuff with null packets to a constant rate: 8M, 4500k or bit/s' -r
complete -c tsfallback -l control -d 'Take commands on this Unix socket' -r -F
complete -c tsfallback -l control-mode -d 'Who may command: the mode of the socket' -r
complete -c tsfallback -l events -d 'Append what happens to this file, a JSON object a line' -r -F
complete -c tsfallback -l exec -d 'Run this command when something happens' -r
complete -c tsfallback -l prometheus -d 'Serve metrics to Prometheus at http://ADDR:PORT/metrics' -r
complete -c tsfallback -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsfallback -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsfallback -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsfallback -l decode -d 'Decode the first picture and the first sound of each input, with an ffmpeg beside it: for the faults black, freeze and silence'
complete -c tsfallback -l timed -d 'Write 192-byte packets with the time at which each leaves'
complete -c tsfallback -s v -l verbose -d 'Say more on stderr'
complete -c tsfallback -s q -l quiet -d 'Say errors only'
complete -c tsfallback -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsfallback -s V -l version -d 'Print version'
