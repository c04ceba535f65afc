import type { Transfer } from './commands.js'

/**
 * Letters that rsync's server_options() puts together and that keep to the paths. Left out: `s` (the arguments come later, in the
 * stream), and `L`, `k`, `K`, which follow symbolic links out of the path that was decided.
 */
const letters = 'vqbunldOJmyWHogDtUNpEAXrcCIRxSz'
const bundle = new RegExp(`^-([${letters}]*)(e\\d{0,3}\\.[a-zA-Z]*)?$`)

/**
 * Long options that only change how files are carried. Everything else is a reason not to recognise the command: options that run
 * programs, that write or read elsewhere (log files, directories for backups, temporary files, links), that name the paths in the
 * stream (--files-from), or that let a receiver go through symbolic links (--no-implied-dirs).
 */
const flags: ReadonlySet<string> = new Set([
  '--append',
  '--delay-updates',
  '--existing',
  '--force',
  '--fsync',
  '--ignore-errors',
  '--ignore-existing',
  '--ignore-missing-args',
  '--ignore-non-existing',
  '--inplace',
  '--list-only',
  '--mkpath',
  '--msgs2stderr',
  '--new-compress',
  '--no-msgs2stderr',
  '--no-relative',
  '--no-specials',
  '--numeric-ids',
  '--old-compress',
  '--open-noatime',
  '--partial',
  '--preallocate',
  '--safe-links',
  '--size-only',
  '--specials',
  '--stats',
])

/** Only as `--name=value`: without it, popt takes the next word for the value, be it the `.` before the paths. */
const valued: ReadonlySet<string> = new Set([
  '--block-size',
  '--bwlimit',
  '--checksum-choice',
  '--checksum-seed',
  '--compress-choice',
  '--compress-level',
  '--debug',
  '--info',
  '--log-format',
  '--max-delete',
  '--max-size',
  '--min-size',
  '--modify-window',
  '--out-format',
  '--skip-compress',
  '--suffix',
  '--timeout',
])

const deleting: ReadonlySet<string> = new Set([
  '--delete',
  '--delete-after',
  '--delete-before',
  '--delete-delay',
  '--delete-during',
  '--delete-excluded',
  '--delete-missing-args',
])

/**
 * `rsync --server [--sender] options . path…`. `details.delete` and `details.removeSource` say that it removes files below the
 * paths, which a decision must cover as well.
 *
 * What stays open: the stream isn't read. A hostile client of a receiver sends its own list of files, and an rsync that goes through
 * symbolic links below the path (before 3.4.0, or CVE-2024-12087 and -12088) then writes where they lead.
 */
export function recogniseRsync(argv: readonly string[]): Transfer | undefined {
  if (argv[1] !== '--server') return undefined
  const sender = argv[2] === '--sender'
  const details = { recursive: false, delete: false, removeSource: false, dryRun: false, backup: false }
  let at = sender ? 3 : 2
  for (; argv[at] !== '.'; at++) {
    const word = argv[at]
    if (word === undefined || !option(word, details)) return undefined
  }
  const paths = argv.slice(at + 1)
  // popt reads options behind the paths, too; and a receiver has one path.
  if (paths.length === 0 || (!sender && paths.length > 1) || paths.some((path) => path === '' || path.startsWith('-'))) return undefined
  return { kind: 'rsync', direction: sender ? 'read' : 'write', paths, command: argv.slice(0, at + 1), details }
}

type Details = { recursive: boolean; delete: boolean; removeSource: boolean; dryRun: boolean; backup: boolean }

function option(word: string, details: Details): boolean {
  const short = word.startsWith('--') ? undefined : bundle.exec(word)?.[1]
  if (short !== undefined) {
    details.recursive ||= short.includes('r')
    details.dryRun ||= short.includes('n')
    details.backup ||= short.includes('b')
    return true
  }
  const [name = '', value] = word.split(/=(.*)/s)
  if (value === undefined && deleting.has(name)) return (details.delete = true)
  if (word === '--remove-source-files') return (details.removeSource = true)
  // A suffix with a slash would put backups elsewhere.
  return value === undefined ? flags.has(name) : valued.has(name) && value !== '' && !value.includes('/')
}
