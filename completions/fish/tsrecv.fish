complete -c tsrecv -s i -l input -d 'Where packets come from, as an option' -r
complete -c tsrecv -s o -l output -d 'Where packets go, as an option' -r
complete -c tsrecv -l speed -d 'Play this many times as fast as the PCRs say' -r
complete -c tsrecv -l cbr -d 'Stuff with null packets to a constant rate: 38M, 4500k or bit/s; what has no PCRs is played at that rate' -r
complete -c tsrecv -l reorder -d 'Wait so long for RTP datagrams that others have overtaken' -r
complete -c tsrecv -l queue -d 'Hold so much between reception and a slow output' -r
complete -c tsrecv -l pid -d 'Pass these PIDs only (can be repeated)' -r
complete -c tsrecv -l drop-pid -d 'Drop these PIDs (can be repeated)' -r
complete -c tsrecv -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsrecv -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsrecv -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsrecv -l pace -d 'Play at the speed of the PCRs (default from a file to a socket); what comes live is held back for 200 ms for that, and its jitter is gone'
complete -c tsrecv -l loop -d 'Play a file again and again: counters, clocks and stamps go on over the seam. Rounds are whole frames, and a picture or sound that the end of the file cuts is left out; sound is joined at PES packets, of which half a one may be missing or twice at a seam; with --cbr at its own rate, a file of constant rate keeps it over the seam too'
complete -c tsrecv -l dedup -d 'Drop datagrams without RTP that repeat one of the last 50 ms (or --reorder)'
complete -c tsrecv -l drop-null -d 'Drop null packets'
complete -c tsrecv -l timed -d 'Write 192-byte packets with their arrival times: of a file those of its PCRs'
complete -c tsrecv -l plain -d 'Write 188-byte packets whatever comes in'
complete -c tsrecv -s v -l verbose -d 'Say more on stderr'
complete -c tsrecv -s q -l quiet -d 'Say errors only'
complete -c tsrecv -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsrecv -s V -l version -d 'Print version'
