# bash completion of ringside
_ringside() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "run debug draw explain info boot bench validate sweep lessons help" -- "$cur")); return; fi
    case $verb,$cur in
    run,-*) COMPREPLY=($(compgen -W "--tap --json --quiet --guests --limit --cpus --fidelity --ledger --stats --trace-perfetto --ram --profile --set --tlb --start --addr --entry --append --module --exit-from-guest --gdb --let-stuck --loop --no-mirror --hash --help " -- "$cur"));;
    debug,-*) COMPREPLY=($(compgen -W "--guests --limit --kernel --initrd --disk --cpus --fidelity --forward-to --memory --ram --profile --set --tlb --start --addr --entry --append --module --theme --ascii --help " -- "$cur"));;
    draw,-*) COMPREPLY=($(compgen -W "--guests --limit --set --tlb --at --list --output --steps --warm --help " -- "$cur"));;
    explain,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    info,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    boot,-*) COMPREPLY=($(compgen -W "--limit --kernel --initrd --disk --cpus --fidelity --forward-to --virtio-console --memory --until --type --firmware-log --ledger --stats --trace-perfetto --profile --set --tlb --append --gdb --help " -- "$cur"));;
    bench,-*) COMPREPLY=($(compgen -W "--json --set --help " -- "$cur"));;
    validate,-*) COMPREPLY=($(compgen -W "--guests --report --help " -- "$cur"));;
    sweep,-*) COMPREPLY=($(compgen -W "--guests --limit --set --csv --jobs --tasks --from --no-header --help " -- "$cur"));;
    lessons,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    help,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    run,*|debug,*|draw,*|sweep,*) COMPREPLY=($(compgen -f -- "$cur") $(compgen -W "$("$1" lessons 2>/dev/null |
        sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')" -- "$cur"));;
    info,*) COMPREPLY=($(compgen -W "$("$1" info 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p') profile" -- "$cur"));;
    *) COMPREPLY=($(compgen -f -- "$cur"));;
    esac
}
complete -o filenames -F _ringside ringside
