import type { Denial, Guard, HeldNotice, Permit } from '@sallyport/kit'
import { formatPath, type Effect } from '@sallyport/policy'
import type { FileAuthority, FileOperation, FileResult, FileVerdict } from '../transfer/index.js'

export interface FileContext {
  readonly guard: Guard
  readonly login: string
  readonly signal: AbortSignal
  /** Told while an operation waits for people. */
  onHeld(notice: HeldNotice): void
  /** Told when one is denied, where the protocol has no words that its clients show. */
  onDenied?(denial: Denial): void
  /** A strict session: the client may hear of the operation's end once this resolves. */
  onEnd(recorded: Promise<void>): void
}

/** Lets the guard decide the operations of a file transfer, one command for each. */
export function fileAuthority(context: FileContext): FileAuthority {
  const verdict = (decided: Awaited<ReturnType<Guard['submit']>>): FileVerdict => {
    if (decided.kind === 'denial') {
      context.onDenied?.(decided)
      return { allowed: false, message: `Sallyport: ${decided.message} (rule ${decided.rule}). ${decided.hint}` }
    }
    decided.consume()
    return { allowed: true, finish: (result) => finish(context, decided, result) }
  }
  return {
    decide(operation) {
      const decided = context.guard.submit(
        { text: operation.text, effects: effectsOf(operation, context.login), facts: { login: context.login } },
        { hold: () => ({ signal: context.signal, onHeld: (notice) => context.onHeld(notice), release: () => undefined }) },
      )
      return decided instanceof Promise ? decided.then(verdict) : verdict(decided)
    },
  }
}

function effectsOf(operation: FileOperation, login: string): Effect[] {
  return operation.effects.map(({ action, path, details }) => ({ action: `ssh.sftp.${action}`, resource: formatPath(path), details: { login, ...details } }))
}

/** Statuses that mean that all of it happened. */
const done = new Set(['ok', 'complete', 'non-sequential', 'partial'])

function finish(context: FileContext, permit: Permit, result: FileResult): void {
  const { status = 'ok', sha256, bytesRead = 0, bytesWritten = 0 } = result
  const recorded = context.guard.finish(permit, {
    status: done.has(status) ? 'ok' : status === 'interrupted' ? 'cancelled' : 'error',
    tag: status,
    rows: 0,
    bytes: bytesRead + bytesWritten,
    masked: 0,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(done.has(status) ? {} : { error_code: status }),
  })
  if (recorded !== undefined) context.onEnd(recorded)
}
