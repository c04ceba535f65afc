import { recogniseRsync } from './rsync-command.js'
import type { ScpMode } from './scp-plan.js'

/** A command line that does nothing but carry files, understood well enough to be decided by its paths. */
export interface Transfer {
  readonly kind: 'scp' | 'rsync' | 'git' | 'sftp'
  /** From the target's side: `read` sends files away, `write` takes them in. sftp decides each operation by itself. */
  readonly direction: 'read' | 'write' | 'both'
  /**
   * As they stand in the command line: relative ones start in the login's home. A trailing slash means something to rsync: who
   * puts a canonical path in its place keeps it. Empty for sftp.
   */
  readonly paths: readonly string[]
  /** The words before the paths: with canonical paths behind them they are the command that was decided. */
  readonly command: readonly string[]
  readonly details: Readonly<Record<string, string | number | boolean>>
}

const sftpServers: ReadonlySet<string> = new Set([
  'sftp-server',
  '/usr/lib/openssh/sftp-server',
  '/usr/lib/ssh/sftp-server',
  '/usr/libexec/sftp-server',
  '/usr/libexec/openssh/sftp-server',
])

const gitServices: ReadonlyMap<string, 'read' | 'write'> = new Map([
  ['upload-pack', 'read'],
  ['upload-archive', 'read'],
  ['receive-pack', 'write'],
])

/**
 * Recognises the far ends of scp, rsync, git and sftp in the words of one simple command.
 * @returns undefined for everything that isn't known to the last word: it is then a program like any other
 */
export function recogniseTransfer(argv: readonly string[]): Transfer | undefined {
  const [first, ...words] = argv
  if (first === undefined) return undefined
  if (sftpServers.has(first)) return words.length === 0 ? { kind: 'sftp', direction: 'both', paths: [], command: argv, details: {} } : undefined
  const program = programName(first)
  switch (program) {
    case 'scp':
      return scp(argv)
    case 'rsync':
      return recogniseRsync(argv)
    case 'git':
      return git(words[0] ?? '', argv, 2)
    default:
      return program?.startsWith('git-') === true ? git(program.slice(4), argv, 1) : undefined
  }
}

/** What the scp filter is to expect of an scp command. */
export function scpMode(transfer: Transfer): ScpMode | undefined {
  const [path] = transfer.paths
  if (transfer.kind !== 'scp' || transfer.direction === 'both' || path === undefined) return undefined
  const { recursive, directory, preserve } = transfer.details
  return { direction: transfer.direction, path, recursive: recursive === true, directory: directory === true, preserve: preserve === true }
}

/** Only where a system keeps its programs: /tmp/scp is anybody's. */
function programName(word: string): string | undefined {
  return /^(?:\/usr\/bin\/|\/bin\/)?([a-z-]+)$/.exec(word)?.[1]
}

/** `scp [-v] [-r] [-p] [-d] -t|-f [--] path`, as toremote() and tolocal() of OpenSSH's scp.c write it. */
function scp(argv: readonly string[]): Transfer | undefined {
  const letters = new Set<string>()
  let at = 1
  for (; at < argv.length; at++) {
    const word = argv[at] ?? ''
    if (!/^-[vrpdtf]+$/.test(word)) break
    for (const letter of word.slice(1)) letters.add(letter)
  }
  if (letters.has('t') === letters.has('f')) return undefined
  if (argv[at] === '--') at++
  const path = argv[at]
  // getopt reads options behind the path, too: nothing may follow it.
  if (path === undefined || path === '' || at !== argv.length - 1 || (path.startsWith('-') && argv[at - 1] !== '--')) return undefined
  const details = { recursive: letters.has('r'), preserve: letters.has('p'), directory: letters.has('d') }
  return { kind: 'scp', direction: letters.has('f') ? 'read' : 'write', paths: [path], command: argv.slice(0, at), details }
}

/** `git-upload-pack path` without options: git's own clients send none, and some name programs. */
function git(service: string, argv: readonly string[], at: number): Transfer | undefined {
  const direction = gitServices.get(service)
  const path = argv[at]
  if (direction === undefined || path === undefined || path === '' || path.startsWith('-') || argv.length !== at + 1) return undefined
  return { kind: 'git', direction, paths: [path], command: argv.slice(0, at), details: { service } }
}
