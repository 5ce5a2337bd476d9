# Completion for dextctl, dextd, dext-vfio-user and dextbench in bash.
#
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Commands, words after them and options come from --help, addresses from dextctl list, so that
# nothing here has to follow when a command is added.

# The words before the one that is completed, taken apart at spaces only: bash's own COMP_WORDS are
# cut at the colon of an address. Sets words and word.
_dextlink_words() {
    local line=${COMP_LINE:0:COMP_POINT}
    word=${line##*[[:space:]]}
    read -ra words <<<"${line:0:${#line}-${#word}}"
}

# The lines of options in a help text: behind "Options:" where it has that line.
_dextlink_option_lines() {
    awk '/^Options:/ { text = "" } { text = text "\n" $0 } END { print text }' <<<"$1"
}

_dextlink_options() {
    _dextlink_option_lines "$1" |
        grep -Eo -- '^ *(-[a-z], +)?--[a-z][a-z-]*' | grep -Eo -- '--[a-z-]+'
}

# Offer what begins with word. bash replaces only what follows the last colon of the word.
_dextlink_offer() {
    local kept=${word%"${word##*:}"} i
    COMPREPLY=($(compgen -W "$1" -- "$word"))
    if [[ $kept && $COMP_WORDBREAKS == *:* ]]; then
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"$kept"}
        done
    fi
}

# Complete the argument of the option before the word: what --help shows behind its name, one space
# away, says what it is. Fails when the option takes none.
_dextlink_value() {
    local value
    [[ $2 == -[a-z] || $2 == --[a-z]* ]] || return 1
    value=$(_dextlink_option_lines "$1" |
        sed -nE "s/^ *(-[a-z], +)?$2 ([^ ]+).*/\2/p; s/^ *$2, --[a-z-]+ ([^ ]+).*/\1/p")
    [[ $value ]] || return 1
    case $2:$value in
    --access:*) _dextlink_offer "open claimed" ;;
    --page-size:*) _dextlink_offer "4096 16384" ;;
    --level:*) _dextlink_offer "read-only claimed dma interrupts reset terminate" ;;
    --only:*) _dextlink_offer "$("${words[0]}" conformance --list 2>/dev/null |
        awk 'NR > 1 { print $1 }')" ;;
    *:FILE | *:PATH) COMPREPLY=($(compgen -f -- "$word")) ;;
    *:DIR) COMPREPLY=($(compgen -d -- "$word")) ;;
    esac
    return 0
}

# Names of the devices there are, those of --device on the line included.
_dextctl_addresses() {
    local i devices=()
    for ((i = 1; i + 1 < ${#words[@]}; i++)); do
        [[ ${words[i]} == --device ]] && devices+=(--device "${words[i + 1]}")
    done
    "${words[0]}" list "${devices[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_dextctl() {
    local words word help command= verbs usage first before
    _dextlink_words
    command=${words[1]}
    before=${words[${#words[@]} - 1]}
    COMPREPLY=()
    if ((${#words[@]} < 2)); then
        help=$("${words[0]}" --help 2>/dev/null)
        _dextlink_offer "$(awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }' \
            <<<"$help") --help --version"
        return
    fi
    help=$("${words[0]}" "$command" --help 2>/dev/null) || return 0
    _dextlink_value "$help" "$before" && return
    if [[ $word == -* ]]; then
        _dextlink_offer "$(_dextlink_options "$help")"
        return
    fi
    # "Usage: dextctl bar info|read ADDR ...": words that the command goes on with
    read -r usage <<<"$help"
    read -r _ _ _ first _ <<<"$usage"
    if [[ $first == *[a-z]* && $first != [\[-]* ]]; then
        verbs=${first//|/ }
        if ((${#words[@]} == 2)); then
            _dextlink_offer "$verbs"
            return
        fi
    elif [[ $first == *FILE* ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
        return
    elif [[ $first != *ADDR* ]]; then
        return 0
    fi
    _dextlink_offer "$(_dextctl_addresses)"
    # ADDRESS or FILE
    [[ $usage == *FILE* ]] && COMPREPLY+=($(compgen -f -- "$word"))
    return 0
}

_dextlink_program() {
    local words word help before
    _dextlink_words
    before=${words[${#words[@]} - 1]}
    help=$("${words[0]}" --help 2>/dev/null)
    COMPREPLY=()
    if ((${#words[@]} > 1)) && _dextlink_value "$help" "$before"; then
        return
    elif [[ ${words[0]} == *dextbench && $word != -* ]]; then
        # "Usage: dextbench [OPTION]... [calls | nvme]..."
        _dextlink_offer "$(sed -nE '1s/.*\[([a-z| -]+)\]\.\.\.$/\1/p' <<<"$help" | tr -d '|')"
    else
        _dextlink_offer "$(_dextlink_options "$help")"
    fi
}

complete -F _dextctl dextctl
complete -F _dextlink_program dextd dext-vfio-user dextbench
