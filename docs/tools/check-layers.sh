#!/bin/bash
# Includes point down only: the table of docs/architecture.md, section "Layers". Tests may also include cmocka and Zydis.
set -u
bad=0
deny() { # FOLDER REGEX WHY
    local hits
    hits=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" $(git ls-files "$1/*.c" "$1/*.h" "$1/*.def" | grep -vE "${4:-^$}") /dev/null)
    [ -n "$hits" ] && { echo "check-layers: $1/ must not include $3:"; echo "$hits"; bad=1; }
}
tests='_(test|fuzz)\.c$'
deny isa 'sim/|vmx-model/|lua/|visualizer/' 'the layers above it'
deny isa 'stdio\.h' 'stdio.h' "$tests"
deny isa 'Zydis' 'Zydis' "$tests"
deny vmx-model 'sim/|lua/|visualizer/' 'the layers above it'
deny vmx-model 'stdio\.h|malloc\.h' 'stdio.h' "$tests"
deny sim 'lua|lauxlib|ncurses|lua/|visualizer/' 'Lua, ncurses or the consumers' '^sim/main\.c$'
deny lua 'visualizer/|ncurses' 'the visualizer'
deny visualizer 'lua/|lua\.h|lauxlib' 'Lua'
deny lua 'sim/internal\.h' "the machine's inside"
deny visualizer 'sim/internal\.h' "the machine's inside"
[ $bad -eq 0 ] && echo "check-layers: ok"
exit $bad
