complete -c tsmon -s i -l input -d 'Where packets come from, as an option' -r
complete -c tsmon -l report -d 'Print the report in this form' -r -f -a "text\t'For a person, on one screen'
json\t'One JSON object'"
complete -c tsmon -l clock -d 'What tells the time' -r -f -a "auto\t'Arrivals on live inputs and where packets carry them, PCRs elsewhere'
arrival\t'The arrivals: of a pipe too'
pcr\t'The PCRs of one PID'"
complete -c tsmon -l pcr-filter -d 'What separates jitter of PCRs from drift: mgf1 (10 mHz), mgf2 (100 mHz), mgf3 (1 Hz), or any frequency from 10mHz to 10Hz' -r
complete -c tsmon -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsmon -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsmon -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsmon -s v -l verbose -d 'Say more on stderr'
complete -c tsmon -s q -l quiet -d 'Say errors only'
complete -c tsmon -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsmon -s V -l version -d 'Print version'
