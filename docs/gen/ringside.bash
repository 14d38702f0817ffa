# bash completion of ringside
_ringside() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "run debug draw explain info boot bench help" -- "$cur")); return; fi
    case $verb,$cur in
    run,-*) COMPREPLY=($(compgen -W "--tap --json --quiet --guests --limit --ledger --ram --profile --start --addr --entry --append --module --exit-from-guest --gdb --let-stuck --loop --no-mirror --hash --help " -- "$cur"));;
    debug,-*) COMPREPLY=($(compgen -W "--guests --limit --ram --profile --start --addr --entry --append --module --theme --ascii --help " -- "$cur"));;
    draw,-*) COMPREPLY=($(compgen -W "--guests --limit --at --list --output --help " -- "$cur"));;
    explain,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    info,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    boot,-*) COMPREPLY=($(compgen -W "--limit --kernel --initrd --disk --virtio-console --memory --until --type --firmware-log --ledger --profile --append --gdb --help " -- "$cur"));;
    bench,-*) COMPREPLY=($(compgen -W "--json --help " -- "$cur"));;
    help,-*) COMPREPLY=($(compgen -W "--help " -- "$cur"));;
    *) COMPREPLY=($(compgen -f -- "$cur"));;
    esac
}
complete -o filenames -F _ringside ringside
