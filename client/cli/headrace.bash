# Completion for headrace(1) in bash. Names of topics and groups are asked of the broker, within half a second.

# Sets `words` to the command line up to the cursor: readline parts it at : and = too, as in host:port.
_headrace_split() {
  local i part glue="" last=""
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    part=${COMP_WORDS[i]}
    if ((i > 1)) && [[ -n $glue || $part == [:=]* ]] && [[ $last != -k && $last != --key-separator ]]; then
      words[${#words[@]} - 1]+=$part
    else
      words+=("$part")
    fi
    last=${words[${#words[@]} - 1]}
    if [[ $part == *[:=] && ${#words[@]} -gt 1 ]]; then glue=1; else glue=""; fi
    [[ ${words[${#words[@]} - 2]} != -k && ${words[${#words[@]} - 2]} != --key-separator ]] || glue=""
  done
}

# _headrace_names topic|group
_headrace_names() {
  local broker=() i
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    case ${words[i]} in
      -b | --broker) broker=(--broker "${words[i + 1]}") ;;
      --broker=*) broker=("${words[i]}") ;;
    esac
  done
  timeout 0.5 headrace "${broker[@]}" "$1" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_headrace_reply() { COMPREPLY=($(compgen -W "$1" -- "$word")); }

# Whether an option stands alone, without a value after it.
_headrace_is_flag() {
  case $command:$1 in
    *:--json | *:--help | *:-h | *:--version | *:--if-exists | *:--if-not-exists | *:--internal | *:--undo | \
      *:--dry-run | *:--no-ack | *:--skip-bad | *:--follow | *:-f | *:--no-commit | *:--skip-damaged | \
      *:--no-crc | *:--one-at-a-time | *:--damaged | *:--repair | *:--watch | *:-w | stats:--connections | \
      dump:--records) return 0 ;;
  esac
  return 1
}

# The values of an option, as far as they are known.
_headrace_value() {
  case $command:$1 in
    *:-z | *:--compression) _headrace_reply "none gzip snappy lz4 zstd" ;;
    *:--from | *:--until | *:--to | *:--set) _headrace_reply "beginning end 1h-ago" ;;
    *:--durability) _headrace_reply "durable written" ;;
    *:--topic | group:-t) _headrace_reply "$(_headrace_names topic)" ;;
    consume:--group) _headrace_reply "$(_headrace_names group)" ;;
    *:--directory) COMPREPLY=($(compgen -d -- "$word")) ;;
    topic:-c | *:--config)
      compopt -o nospace 2>/dev/null
      COMPREPLY=($(compgen -S = -W "retention.ms retention.bytes segment.bytes segment.ms max.message.bytes \
        durability cleanup.policy compression.type delete.retention.ms max.compaction.lag.ms \
        message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type \
        min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas" -- "$word")) ;;
  esac
}

# The options of a command.
_headrace_options() {
  local bench="--topic --records --size --partitions --durability --batch --in-flight"
  echo --broker --json --help
  case $1 in
    "topic create") echo --partitions --config --if-not-exists ;;
    "topic list" | "topic describe") echo --internal ;;
    "topic alter") echo --partitions --config ;;
    "topic trim") echo --partition --to ;;
    "topic delete") echo --if-exists ;;
    "group seek") echo --to --undo --topic --partition --dry-run ;;
    produce) echo --key-separator --partition --no-ack --compression --header --rate --skip-bad ;;
    consume) echo --partition --from --until --count --follow --format --delimiter --name --group \
      --instance-id --no-commit --skip-damaged ;;
    offsets) echo --consumer --partition --set ;;
    stats) echo --connections --watch --count ;;
    "bench produce") echo "$bench" --connections --rate --compression ;;
    "bench consume") echo "$bench" --connections --no-crc ;;
    "bench latency") echo "$bench" --rate --one-at-a-time ;;
    "bench transfer") echo --size --chunk --runs --directory ;;
    dump) echo --records --damaged ;;
    fsck) echo --repair ;;
    "") echo --version ;;
  esac
}

_headrace() {
  local words word command="" verb="" places=0 i
  COMPREPLY=()
  _headrace_split
  word=${words[${#words[@]} - 1]}
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    case ${words[i]} in
      --*=*) ;;
      -*) _headrace_is_flag "${words[i]}" || ((i++)) ;;
      *)
        if [[ -z $command ]]; then command=${words[i]}
        elif [[ -z $verb && $command =~ ^(topic|group|bench)$ ]]; then verb=${words[i]}
        else ((places++)); fi ;;
    esac
  done
  local previous=${words[${#words[@]} - 2]}
  if [[ $word == --*=* ]]; then
    previous=${word%%=*}
    word=${word#*=}
  fi
  if [[ $previous == -* && $previous != *=* ]] && ! _headrace_is_flag "$previous"; then
    _headrace_value "$previous"
    return
  fi
  if [[ $word == -* ]]; then
    _headrace_reply "$(_headrace_options "$command${verb:+ $verb}")"
    return
  fi
  case $command$verb in
    "") _headrace_reply "topic produce consume offsets group stats bench dump fsck completion" ;;
    topic) _headrace_reply "create list describe alter trim delete" ;;
    group) _headrace_reply "list describe delete seek" ;;
    bench) _headrace_reply "produce consume latency transfer" ;;
    completion) _headrace_reply bash ;;
    topicdescribe) _headrace_reply "$(_headrace_names topic)" ;;
    topicalter | topictrim | topicdelete | consume | offsets)
      if ((places == 0)); then _headrace_reply "$(_headrace_names topic)"; fi ;;
    produce)
      if ((places == 0)); then _headrace_reply "$(_headrace_names topic)"
      else COMPREPLY=($(compgen -f -- "$word")); fi ;;
    groupdescribe | groupdelete | groupseek) _headrace_reply "$(_headrace_names group)" ;;
    dump | fsck) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}

complete -F _headrace headrace
