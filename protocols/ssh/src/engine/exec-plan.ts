import { formatPath, type Effect } from '@sallyport/policy'
import { analyseShell, quoteArgv } from '@sallyport/shell'
import { effectsOfExec } from '../analyse/exec.js'
import { recogniseTransfer, scpMode, type ScpMode, type ScpPaths, type Transfer } from '../transfer/index.js'

/** What an exec request comes to. */
export interface ExecPlan {
  readonly effects: readonly Effect[]
  /** What is sent to the target: the client's own line, or for a transfer the words that were decided. */
  readonly command: string
  /** False where a changed byte would corrupt what is carried. */
  readonly masked: boolean
  /** What decides the single files. */
  readonly filter?: ScpMode | 'sftp'
}

/**
 * Plans a command line. A file transfer is recognised by its words, when the line is one simple command of words that are
 * all known: scp and sftp are then decided file by file, rsync by the canonical paths that it is given. Everything else is
 * what the shell analysis says.
 */
export async function planExec(command: string, login: string, paths: ScpPaths): Promise<ExecPlan> {
  const plain: ExecPlan = { effects: effectsOfExec(command, login), command, masked: true }
  const transfer = transferOf(command)
  if (transfer === undefined) return plain
  switch (transfer.kind) {
    case 'git':
      return { ...plain, masked: false }
    case 'sftp':
      return { effects: [carrier(transfer.command, login)], command: quoteArgv(transfer.command), masked: false, filter: 'sftp' }
    case 'scp': {
      const mode = scpMode(transfer)
      if (mode === undefined) return plain
      return { effects: [carrier(transfer.command, login)], command, masked: false, filter: mode }
    }
    case 'rsync':
      return rsync(transfer, login, paths, plain)
  }
}

function transferOf(command: string): Transfer | undefined {
  const { commands, redirections, opaque } = analyseShell(command)
  const [only] = commands
  if (only === undefined || commands.length > 1 || redirections.length > 0 || opaque.length > 0) return undefined
  if (only.unknownArguments?.length || only.assignments.length > 0 || only.via.length > 0 || only.runAs !== undefined) return undefined
  return recogniseTransfer(only.argv)
}

/** The program that carries a transfer: what it carries is decided, so it needs no rule of its own. */
function carrier(argv: readonly string[], login: string): Effect {
  return { action: 'ssh.exec', resource: formatPath(argv[0] ?? ''), details: { login, argv, transfer: true }, harmless: true }
}

/** rsync speaks a protocol of its own, so it is decided as a whole: which way, and below which canonical paths. */
async function rsync(transfer: Transfer, login: string, paths: ScpPaths, plain: ExecPlan): Promise<ExecPlan> {
  if (transfer.paths.length === 0) return plain
  const action = transfer.direction === 'read' ? 'ssh.sftp.read' : 'ssh.sftp.write'
  try {
    const canonical = await Promise.all(
      transfer.paths.map(async (path) => {
        const real = await paths.realpath(path)
        // A slash at the end says "what is in it".
        return path.endsWith('/') && real !== '/' ? `${real}/` : real
      }),
    )
    const removes = transfer.details['delete'] === true || transfer.details['removeSource'] === true
    const effects = canonical.flatMap((path): Effect[] => {
      const resource = formatPath(path.length > 1 ? path.replace(/\/$/, '') : path)
      const details = { login, ...transfer.details }
      return [{ action, resource, details }, ...(removes ? [{ action: 'ssh.sftp.remove', resource, details }] : [])]
    })
    return { effects: [carrier([...transfer.command, ...canonical], login), ...effects], command: quoteArgv([...transfer.command, ...canonical]), masked: false }
  } catch {
    return plain
  }
}
