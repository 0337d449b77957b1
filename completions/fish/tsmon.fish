complete -c tsmon -s i -l input -d 'Where packets come from, as an option' -r
complete -c tsmon -l clock -d 'What tells the time' -r -f -a "auto\t'Arrivals on live inputs and where packets carry them, PCRs elsewhere'
arrival\t'The arrivals: of a pipe too'
pcr\t'The PCRs of one PID'"
complete -c tsmon -l pcr-filter -d 'What separates jitter of PCRs from drift: mgf1 (10 mHz), mgf2 (100 mHz), mgf3 (1 Hz), or any frequency from 10mHz to 10Hz' -r
complete -c tsmon -l for -d 'Look at so much of the stream' -r
complete -c tsmon -l fail-on -d 'End with status 1 when a check of this priority or a higher one found something' -r -f -a "p1\t'The stream cannot be decoded'
p2\t'What should be watched all the time, too'
p3\t'All of TR 101 290'"
complete -c tsmon -l report -d 'Print the report in this form' -r -f -a "text\t'For a person, on one screen'
json\t'One JSON object'
html\t'One page with plots, for a browser'"
complete -c tsmon -l report-file -d 'Write the report to this file, replaced as a whole, and not to stdout' -r -F
complete -c tsmon -l interval -d 'Report so often, and not at the end only; JSON is one object a line then' -r
complete -c tsmon -l events -d 'Append a JSON line for each alarm raised or cleared; -: to stdout, the report to stderr' -r -F
complete -c tsmon -l exec -d 'Run a command for each alarm raised or cleared' -r
complete -c tsmon -l clear-after -d 'Clear an alarm when so long nothing was found' -r
complete -c tsmon -l delivery -d 'Where the stream is received: what TR 101 211 asks of EIT other and of EIT schedules' -r -f -a "satellite\t'By satellite'
cable\t'By cable'
terrestrial\t'By terrestrial transmission'"
complete -c tsmon -l private-pid -d 'PID that needs no table to refer to it; may be repeated' -r
complete -c tsmon -l limit -d 'Longest time without a table or PID, such as `sdt=2s`, `teletext=10s`, `nit=never`; may be repeated' -r
complete -c tsmon -l capture -d 'Copy what is around an alarm out of this ring, which records the same stream' -r -F
complete -c tsmon -l into -d 'Put extracts into this directory' -r -F
complete -c tsmon -l before -d 'Begin an extract so long before its alarm' -r
complete -c tsmon -l after -d 'End an extract so long after its alarm' -r
complete -c tsmon -l capture-every -d 'Of one check, take one extract in this time' -r
complete -c tsmon -l capture-bytes -d 'Remove the oldest extracts so that all together stay below this' -r
complete -c tsmon -l capture-on -d 'Take extracts of alarms of this priority and of more weighty ones' -r -f -a "p1\t'The stream cannot be decoded'
p2\t'What should be watched all the time, too'
p3\t'All of TR 101 290'"
complete -c tsmon -l prometheus -d 'Serve metrics to Prometheus at http://ADDR:PORT/metrics' -r
complete -c tsmon -l snmp-trap -d 'Send an SNMP v2c trap when an alarm is raised and when it is cleared' -r
complete -c tsmon -l community -d 'The community of traps' -r
complete -c tsmon -l snmp-oid -d 'The arc of HEADEND-MIB' -r
complete -c tsmon -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsmon -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsmon -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsmon -l pass -d 'Pass stdin to stdout, byte for byte, while measuring'
complete -c tsmon -l expect-si -d 'Miss NIT, SDT, EIT and TDT in a stream without any service information too'
complete -c tsmon -l snmp-pass-persist -d 'Answer net-snmp\'s snmpd on stdin and stdout (`pass_persist` in snmpd.conf)'
complete -c tsmon -s v -l verbose -d 'Say more on stderr'
complete -c tsmon -s q -l quiet -d 'Say errors only'
complete -c tsmon -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsmon -s V -l version -d 'Print version'
