import type { Field } from '../words/field.js'
import { executors, isLoader } from './executors.js'
import { git } from './git.js'
import { interpreter, isInterpreter } from './interpreters.js'
import { hidesOptions, type Rule, without } from './rule.js'
import { sed } from './sed.js'

/** A client of a database reads commands from its standard input unless the statement stands on the command line. */
function databaseClient(statement: RegExp, escape: RegExp): Rule {
  return (args, name) => {
    if (args.length === 1 && args[0]?.known === true && /^(?:--version|-V|--help)$/.test(args[0].text)) return undefined
    if (args.some((arg) => !arg.known)) return `${name}: an argument is only known at run time`
    const words = args.map((arg) => arg.text)
    if (!words.some((word) => statement.test(word))) return `${name} runs what it reads from its standard input`
    return words.some((word) => escape.test(word)) ? `${name} can run code` : undefined
  }
}

const mysql = databaseClient(
  /^(?:-[^-]*e|--execute)/,
  /\\|^\s*(?:system|source|tee|pager|edit)\b|;\s*(?:system|source|tee|pager|edit)\b|^--(?:pager|tee|init|plugin|default|login|defaults)/i,
)

/** make's files are programs of the folder it runs in; what comes by the command line must be targets only. */
const make: Rule = (args) => {
  if (hidesOptions(args)) return 'make: an argument is only known at run time'
  return args.every((arg) => /^(?:-[jskn]\d*|\d+|[\w./][\w./-]*)$/.test(arg.text)) ? undefined : 'make with options or variables can run code'
}

/** tar takes its first word for options without a dash; a name with a colon is a remote archive, fetched by a program. */
const tarOptions = without({
  short: 'IF',
  long: ['checkpoint-action', 'to-command', 'use-compress-program', 'rsh-command', 'rmt-command', 'info-script', 'new-volume-script'],
  pattern: /^(?!\.?\/)[^=]*:|^--f[a-z]*=[^/]*:/,
})

const tar: Rule = (args, name) => {
  const [first] = args
  if (first?.known === true && /^[A-Za-z]*[IF]/.test(first.text) && !first.text.startsWith('-')) return `${name} ${first.text} can run code`
  return tarOptions(args, name)
}

const rsyncOptions = without({ short: 'eM', long: ['rsh', 'rsync-path', 'remote-option', 'config', 'daemon'] })

/** Behind --server, -e carries no program but what the client can do: -logDtpre.iLsfxCIvu. */
const rsync: Rule = (args, name) => {
  const isServer = args[0]?.known === true && args[0].text === '--server'
  return rsyncOptions(isServer ? args.filter((arg) => !/^-[A-Za-z]*e[\d.]+[A-Za-z]*$/.test(arg.text)) : args, name)
}

const packageScripts: Rule = (args, name) => {
  const [first] = args
  if (first === undefined || !first.known) return `${name}: what it does is only known at run time`
  if (/^(?:exec|x|dlx|explore|edit|create|init|node|-)/.test(first.text)) return `${name} ${first.text} runs code`
  return without({ long: ['script-shell', 'node-options', 'call', 'shell'] })(args, name)
}

const rules = new Map<string, Rule>([
  ['sed', sed],
  ['git', git],
  ['make', make],
  ['gmake', make],
  ['tar', tar],
  ['bsdtar', tar],
  ['npm', packageScripts],
  ['pnpm', packageScripts],
  ['yarn', packageScripts],
  ['rsync', rsync],
  ['scp', without({ short: 'SoFJD', pattern: /^-[^:]*:/ })],
  ['sftp', without({ short: 'SoFJbDs' })],
  ['ssh-keygen', without({ short: 'DwM' })],
  ['ssh-add', without({ short: 'sSe' })],
  ['tcpdump', without({ short: 'z', long: ['postrotate-command'] })],
  ['zip', without({ words: ['-TT'], short: 'T', long: ['unzip-command', 'test'] })],
  ['openssl', without({ words: ['engine', '-engine', '-provider', '-provider-path', '-provider_path', '-config', '-pre', '-post'], pattern: /^-(?:engine|provider|config|conf)/ })],
  ['nmap', without({ long: ['script', 'script-args', 'interactive', 'datadir', 'servicedb', 'versiondb', 'resume', 'stylesheet'] })],
  ['nc', without({ short: 'ec', long: ['exec', 'sh-exec', 'lua-exec'] })],
  ['netcat', without({ short: 'ec', long: ['exec', 'sh-exec', 'lua-exec'] })],
  ['ncat', without({ short: 'ec', long: ['exec', 'sh-exec', 'lua-exec'] })],
  ['mysql', mysql],
  ['mariadb', mysql],
  ['psql', databaseClient(/^(?:-[^-]*[cl]|--command|--list)/, /\\|\bprogram\b|^-[^-]*[foL]|^--(?:file|output|log)/i)],
  ['sqlite3', databaseClient(/\s/, /^\s*\.|\n\s*\.|load_extension|edit\s*\(|writefile|fts3_tokenizer|^-+(?:cmd|init|A|archive|interactive)/i)],
  ['sort', without({ long: ['compress-program'] })],
  ['split', without({ long: ['filter'] })],
  ['cpio', without({ long: ['rsh-command', 'to-command'] })],
  ['wget', without({ short: 'e', long: ['execute', 'use-askpass', 'config'], pattern: /^-[^-]*e/ })],
  ['curl', without({ short: 'K', long: ['config', 'engine', 'egd-file', 'random-file'] })],
  ['ip', without({ words: ['exec', 'exe', 'ex', 'e', '-batch', '-b'], short: 'b' })],
  ['apt', without({ short: 'oc', long: ['option', 'config-file'], words: ['edit-sources', 'changelog'] })],
  ['apt-get', without({ short: 'oc', long: ['option', 'config-file'], words: ['changelog'] })],
  ['dpkg', without({ long: ['pre-invoke', 'post-invoke', 'status-logger', 'path-exclude', 'admindir', 'root', 'instdir'] })],
  ['rpm', without({ short: 'E', long: ['eval', 'pipe', 'define', 'load', 'rcfile', 'macros', 'dbpath', 'root'] })],
  ['yum', without({ short: 'c', long: ['config', 'setopt', 'enableplugin'] })],
  ['dnf', without({ short: 'c', long: ['config', 'setopt', 'enableplugin'] })],
  ['pip', without({ long: ['global-option', 'install-option', 'config-settings', 'build-option', 'editable'], short: 'eC' })],
  ['systemctl', without({ words: ['edit', 'set-environment', 'import-environment'], short: 'H', long: ['host'] })],
  ['journalctl', without({ long: ['host'] })],
  ...['gcc', 'g++', 'cc', 'c89', 'c99', 'clang', 'cpp'].map((name): [string, Rule] => [name, without({ pattern: /^(?:-specs|-fplugin|-B|@|-wrapper)/ })]),
  ['go', without({ words: ['run', 'generate', 'tool', 'test', 'env'], pattern: /^-(?:exec|toolexec|overlay|modfile)/ })],
  ['cargo', without({ long: ['config'], words: ['run', 'r', 'test', 'bench'] })],
  ['gem', without({ words: ['exec', 'open'], short: 'e' })],
  ['service', without({ pattern: /\.\./ })],
  ['logrotate', () => 'logrotate runs the scripts of its configuration'],
  ['logsave', () => 'logsave runs a command'],
  ['dmesg', without({ short: 'H', long: ['human'] })],
])

/**
 * Why the program, called so, could run code that its argv doesn't show.
 *
 * @param name its name without folder: a copy of perl elsewhere is as able as perl
 */
export function hiddenCode(name: string, args: readonly Field[]): string | undefined {
  // vim.basic, nc.openbsd, git-2.40, perl5.36, gsed: alternatives of Debian, versioned and GNU names are what they're named after.
  const names = [name, name.replace(/[-.]?\d[\d.]*$/, ''), name.replace(/\..*$/, ''), name.replace(/^g(?=sed$|tar$|find$|awk$|env$)/, '')]
  if (names.some((one) => executors.has(one)) || isLoader(name)) return `${name} can run code that its arguments don't show`
  if (isInterpreter(name)) return interpreter(args, name)
  const known = names.find((one) => rules.has(one))
  return known === undefined ? undefined : rules.get(known)?.(args, name)
}
