# Completion for headrace(1) in bash. Names of topics and groups are asked of the broker, within half a second.

# _headrace_names topic|group
_headrace_names() {
  local broker=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -b | --broker) broker=(--broker "${COMP_WORDS[i + 1]}${COMP_WORDS[i + 2]}${COMP_WORDS[i + 3]}") ;;
    esac
  done
  timeout 0.5 headrace "${broker[@]}" "$1" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}
_headrace_topics() { _headrace_names topic; }

_headrace() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command="" verb="" i skip=""
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ -n $skip ]]; then skip=""; continue; fi
    case ${COMP_WORDS[i]} in
      -b | --broker) skip=1 ;;
      -* | : | =) ;;
      *)
        if [[ -z $command ]]; then command=${COMP_WORDS[i]}
        elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi
        ;;
    esac
  done

  case $previous in
    -z | --compression) COMPREPLY=($(compgen -W "none gzip snappy lz4 zstd" -- "$word")); return ;;
    --from | --until | --to | --set) COMPREPLY=($(compgen -W "beginning end 1h-ago" -- "$word")); return ;;
    --durability) COMPREPLY=($(compgen -W "durable written" -- "$word")); return ;;
    --topic) COMPREPLY=($(compgen -W "$(_headrace_topics)" -- "$word")); return ;;
    -c | --config)
      if [[ $command == topic ]]; then
        compopt -o nospace 2>/dev/null
        COMPREPLY=($(compgen -S = -W "retention.ms retention.bytes segment.bytes segment.ms max.message.bytes \
          durability cleanup.policy compression.type delete.retention.ms max.compaction.lag.ms \
          message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type \
          min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas" -- "$word"))
      fi
      return ;;
    -b | --broker | -p | --partition | --partitions | -n | --count | --rate | --name | --group | --instance-id | --format | --delimiter) return ;;
  esac

  local options="--broker --json --help"
  case $command in
    "") COMPREPLY=($(compgen -W "topic produce consume offsets group stats bench dump fsck completion $options --version" \
          -- "$word")); return ;;
    topic)
      case $verb in
        "") COMPREPLY=($(compgen -W "create list describe alter trim delete $options" -- "$word")); return ;;
        create) options+=" --partitions --config --if-not-exists" ;;
        list | describe) options+=" --internal" ;;
        alter) options+=" --partitions --config" ;;
        trim) options+=" --partition --to" ;;
        delete) options+=" --if-exists" ;;
      esac
      if [[ $word != -* && $verb != create && $verb != list ]]; then
        COMPREPLY=($(compgen -W "$(_headrace_topics)" -- "$word")); return
      fi ;;
    group)
      case $verb in
        "") COMPREPLY=($(compgen -W "list describe delete seek $options" -- "$word")); return ;;
        seek) options+=" --to --undo --topic --partition --dry-run" ;;
      esac
      if [[ $word != -* && $verb != list ]]; then
        COMPREPLY=($(compgen -W "$(_headrace_names group)" -- "$word")); return
      fi ;;
    produce)
      options+=" --key-separator --partition --no-ack --compression --header --rate --skip-bad"
      if [[ $word != -* && -n $verb ]]; then COMPREPLY=($(compgen -f -- "$word")); return; fi ;;
    consume) options+=" --partition --from --until --count --follow --format --delimiter --name --group \
      --instance-id --no-commit" ;;
    offsets) options+=" --consumer --partition --set" ;;
    stats) options+=" --connections --watch --count" ;;
    bench)
      if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "produce consume latency transfer $options" -- "$word")); return
      fi
      options+=" --records --size --partitions --topic --rate --batch --connections --durability --runs --chunk" ;;
    dump | fsck)
      options+=" --records --repair"
      if [[ $word != -* ]]; then COMPREPLY=($(compgen -f -- "$word")); return; fi ;;
    completion) COMPREPLY=($(compgen -W "bash" -- "$word")); return ;;
  esac
  case $command in
    produce | consume | offsets)
      if [[ $word != -* && -z $verb ]]; then
        COMPREPLY=($(compgen -W "$(_headrace_topics)" -- "$word")); return
      fi ;;
  esac
  COMPREPLY=($(compgen -W "$options" -- "$word"))
}

complete -F _headrace headrace
