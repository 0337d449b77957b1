# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tsring_global_optspecs
    string join \n h/help V/version
end

function __fish_tsring_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tsring_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tsring_using_subcommand
    set -l cmd (__fish_tsring_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tsring -n "__fish_tsring_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_needs_command" -s V -l version -d 'Print version'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "record" -d 'Record a stream into a ring'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "read" -d 'Write a range of a ring as fast as the output takes it'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "play" -d 'Play a ring at the original pace'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "info" -d 'Tell what is in a ring'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "check" -d 'Look for damage in a ring: status 1 when there is some'
complete -c tsring -n "__fish_tsring_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tsring -n "__fish_tsring_using_subcommand record" -s i -l input -d 'Where packets come from' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l keep -d 'Keep what was received in this time [default: as before, 24h in a new ring]' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l max-bytes -d 'Let the oldest go when the ring takes more' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l min-free -d 'Let the oldest go when less is free on the file system' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l segment -d 'Begin a new file at multiples of this, UTC [default: as before, 5m in a new ring]' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l sync -d 'Make data last through a power loss this often [default: as before, 5s in a new ring]' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l clock -d 'Date packets by their arrival, or by the PCRs they carry as fast as they can be read' -r -f -a "system\t'By arrival'
pcr\t'By the stream\'s own clock'"
complete -c tsring -n "__fish_tsring_using_subcommand record" -l at -d 'With --clock pcr: file the first packet under this time [default: the end of the ring]' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l tz -d 'Read a local --at in this zone [default: the machine\'s]' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l queue -d 'Hold so much between reception and a slow disk' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsring -n "__fish_tsring_using_subcommand record" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsring -n "__fish_tsring_using_subcommand record" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsring -n "__fish_tsring_using_subcommand record" -l tee -d 'Pass the packets on to stdout'
complete -c tsring -n "__fish_tsring_using_subcommand record" -s v -l verbose -d 'Say more on stderr'
complete -c tsring -n "__fish_tsring_using_subcommand record" -s q -l quiet -d 'Say errors only'
complete -c tsring -n "__fish_tsring_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_using_subcommand read" -l from -d 'Where to begin [default: the beginning]' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -l to -d 'Where to end, exclusive [default: the end]' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -l duration -d 'End so long after --from' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -l tz -d 'Read local times in this zone [default: the machine\'s]' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -s o -l output -d 'Where packets go' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsring -n "__fish_tsring_using_subcommand read" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsring -n "__fish_tsring_using_subcommand read" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsring -n "__fish_tsring_using_subcommand read" -s v -l verbose -d 'Say more on stderr'
complete -c tsring -n "__fish_tsring_using_subcommand read" -s q -l quiet -d 'Say errors only'
complete -c tsring -n "__fish_tsring_using_subcommand read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_using_subcommand play" -l delay -d 'Play what was received so long ago, for ever' -r
complete -c tsring -n "__fish_tsring_using_subcommand play" -l from -d 'Play what was received from this time on, up to the live end' -r
complete -c tsring -n "__fish_tsring_using_subcommand play" -l tz -d 'Read a local --from in this zone [default: the machine\'s]' -r
complete -c tsring -n "__fish_tsring_using_subcommand play" -s o -l output -d 'Where packets go' -r
complete -c tsring -n "__fish_tsring_using_subcommand play" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsring -n "__fish_tsring_using_subcommand play" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsring -n "__fish_tsring_using_subcommand play" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsring -n "__fish_tsring_using_subcommand play" -s v -l verbose -d 'Say more on stderr'
complete -c tsring -n "__fish_tsring_using_subcommand play" -s q -l quiet -d 'Say errors only'
complete -c tsring -n "__fish_tsring_using_subcommand play" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_using_subcommand info" -l from -d 'Where to begin [default: the beginning]' -r
complete -c tsring -n "__fish_tsring_using_subcommand info" -l to -d 'Where to end, exclusive [default: the end]' -r
complete -c tsring -n "__fish_tsring_using_subcommand info" -l duration -d 'End so long after --from' -r
complete -c tsring -n "__fish_tsring_using_subcommand info" -l tz -d 'Read local times in this zone [default: the machine\'s]' -r
complete -c tsring -n "__fish_tsring_using_subcommand info" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsring -n "__fish_tsring_using_subcommand info" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsring -n "__fish_tsring_using_subcommand info" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsring -n "__fish_tsring_using_subcommand info" -l json -d 'Print one JSON object'
complete -c tsring -n "__fish_tsring_using_subcommand info" -s v -l verbose -d 'Say more on stderr'
complete -c tsring -n "__fish_tsring_using_subcommand info" -s q -l quiet -d 'Say errors only'
complete -c tsring -n "__fish_tsring_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_using_subcommand check" -l log-format -d 'Form of the lines on stderr' -r -f -a "text\t'`tool: level: words`'
json\t'One JSON object a line'"
complete -c tsring -n "__fish_tsring_using_subcommand check" -l stats -d 'Print a line of statistics at this interval' -r
complete -c tsring -n "__fish_tsring_using_subcommand check" -l stats-json -d 'Keep every counter in this file, replaced as a whole each second' -r -F
complete -c tsring -n "__fish_tsring_using_subcommand check" -l repair -d 'Put right what can be: needs the ring to itself'
complete -c tsring -n "__fish_tsring_using_subcommand check" -s v -l verbose -d 'Say more on stderr'
complete -c tsring -n "__fish_tsring_using_subcommand check" -s q -l quiet -d 'Say errors only'
complete -c tsring -n "__fish_tsring_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "record" -d 'Record a stream into a ring'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "read" -d 'Write a range of a ring as fast as the output takes it'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "play" -d 'Play a ring at the original pace'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "info" -d 'Tell what is in a ring'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "check" -d 'Look for damage in a ring: status 1 when there is some'
complete -c tsring -n "__fish_tsring_using_subcommand help; and not __fish_seen_subcommand_from record read play info check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
