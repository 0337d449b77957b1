# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tsmon_global_optspecs
    string join \n i/input= pass clock= pcr-filter= for= fail-on= report= report-file= live interval= events= exec= clear-after= decode profile= delivery= expect-si private-pid= limit= capture= into= before= after= capture-every= capture-bytes= capture-on= prometheus= snmp-trap= community= snmp-pass-persist snmp-oid= v/verbose q/quiet log-format= stats= stats-json= h/help V/version
end

function __fish_tsmon_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tsmon_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tsmon_using_subcommand
    set -l cmd (__fish_tsmon_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tsmon -n "__fish_tsmon_needs_command" -s i -l input -d 'Where packets come from, as an option' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l clock -d 'What tells the time' -r -f -a "auto\t'Arrivals on live inputs and where packets carry them, PCRs elsewhere'
arrival\t'The arrivals: of a pipe too'
pcr\t'The PCRs of one PID'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l pcr-filter -d 'What separates jitter of PCRs from drift: mgf1 (10 mHz), mgf2 (100 mHz), mgf3 (1 Hz), or any frequency from 10mHz to 10Hz' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l for -d 'Look at so much of the stream' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l fail-on -d 'End with status 1 when a check of this priority or a higher one found something' -r -f -a "p1\t'The stream cannot be decoded'
p2\t'What should be watched all the time, too'
p3\t'All of TR 101 290'
p4\t'What stands beside it, too: reception, decoding, the profile'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l report -d 'Print the report in this form' -r -f -a "text\t'For a person, on one screen'
json\t'One JSON object'
html\t'One page with plots, for a browser'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l report-file -d 'Write the report to this file, replaced as a whole, and not to stdout' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l interval -d 'Report so often, and not at the end only; JSON is one object a line then' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l events -d 'Append a JSON line for each alarm raised or cleared; -: to stdout, the report to stderr' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l exec -d 'Run a command for each alarm raised or cleared' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l clear-after -d 'Clear an alarm when so long nothing was found' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l profile -d 'Compare the stream with this profile' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l delivery -d 'Where the stream is received: what TR 101 211 asks of EIT other and of EIT schedules' -r -f -a "satellite\t'By satellite'
cable\t'By cable'
terrestrial\t'By terrestrial transmission'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l private-pid -d 'PID that needs no table to refer to it; may be repeated' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l limit -d 'Longest time without a table or PID, such as `sdt=2s`, `teletext=10s`, `nit=never`; may be repeated' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l capture -d 'Copy what is around an alarm out of this ring, which records the same stream' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l into -d 'Put extracts into this directory' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l before -d 'Begin an extract so long before its alarm' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l after -d 'End an extract so long after its alarm' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l capture-every -d 'Of one check, take one extract in this time' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l capture-bytes -d 'Remove the oldest extracts so that all together stay below this' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l capture-on -d 'Take extracts of alarms of this priority and of more weighty ones' -r -f -a "p1\t'The stream cannot be decoded'
p2\t'What should be watched all the time, too'
p3\t'All of TR 101 290'
p4\t'What stands beside it, too: reception, decoding, the profile'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l prometheus -d 'Serve metrics to Prometheus at http://ADDR:PORT/metrics' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l snmp-trap -d 'Send an SNMP v2c trap when an alarm is raised and when it is cleared' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l community -d 'The community of traps' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l snmp-oid -d 'The arc of HEADEND-MIB' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsmon -n "__fish_tsmon_needs_command" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsmon -n "__fish_tsmon_needs_command" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsmon -n "__fish_tsmon_needs_command" -l pass -d 'Pass stdin to stdout, byte for byte, while measuring'
complete -c tsmon -n "__fish_tsmon_needs_command" -l live -d 'Show the report on the terminal while it changes; q quits'
complete -c tsmon -n "__fish_tsmon_needs_command" -l decode -d 'Decode the first service through ffmpeg: black and frozen pictures, silence, loudness'
complete -c tsmon -n "__fish_tsmon_needs_command" -l expect-si -d 'Miss NIT, SDT, EIT and TDT in a stream without any service information too'
complete -c tsmon -n "__fish_tsmon_needs_command" -l snmp-pass-persist -d 'Answer net-snmp\'s snmpd on stdin and stdout (`pass_persist` in snmpd.conf)'
complete -c tsmon -n "__fish_tsmon_needs_command" -s v -l verbose -d 'Say more on stderr'
complete -c tsmon -n "__fish_tsmon_needs_command" -s q -l quiet -d 'Say errors only'
complete -c tsmon -n "__fish_tsmon_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsmon -n "__fish_tsmon_needs_command" -s V -l version -d 'Print version'
complete -c tsmon -n "__fish_tsmon_needs_command" -a "learn" -d 'Write a profile of a healthy stream'
complete -c tsmon -n "__fish_tsmon_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -l for -d 'Look at so much of the stream' -r
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -s o -l output -d 'Write the profile to this file, and not to stdout' -r -F
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -s v -l verbose -d 'Say more on stderr'
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -s q -l quiet -d 'Say errors only'
complete -c tsmon -n "__fish_tsmon_using_subcommand learn" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsmon -n "__fish_tsmon_using_subcommand help; and not __fish_seen_subcommand_from learn help" -f -a "learn" -d 'Write a profile of a healthy stream'
complete -c tsmon -n "__fish_tsmon_using_subcommand help; and not __fish_seen_subcommand_from learn help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
