import type { Batch } from './batch.js'
import { RequestRefused } from './canonical-paths.js'
import type { FileAuthority, FileOperation, FileVerdict } from './file-authority.js'
import { outcome, type HandleOperations } from './handle-operations.js'
import type { OpenHandle } from './handles.js'
import type { DecidedRequest, Plan, Planner } from './operations.js'
import type { RunningOperations } from './running.js'
import type { ServerLink } from './server-link.js'
import { encodeStatus, status, type Reply } from './sftp-codec.js'

type Allowed = Extract<FileVerdict, { allowed: true }>

export interface DecidedParts {
  readonly authority: FileAuthority
  readonly planner: Planner
  readonly link: ServerLink
  readonly handles: HandleOperations
  readonly running: RunningOperations
  readonly toClient: Batch
}

const accepts: Partial<Record<DecidedRequest['kind'], readonly Reply['kind'][]>> = {
  stat: ['attrs'],
  lstat: ['attrs'],
  readlink: ['name'],
  statvfs: ['extended'],
}

/** The only way of a request with a path to the server: resolve, decide, and only then send what was decided. */
export class DecidedOperations {
  readonly #parts: DecidedParts

  constructor(parts: DecidedParts) {
    this.#parts = parts
  }

  /**
   * Ends when the request was sent or refused; its answer comes later.
   * @param onHold is called with the paths when the decision isn't there at once
   */
  async run(request: DecidedRequest, onHold: (paths: readonly string[]) => void): Promise<void> {
    try {
      await this.#run(request, onHold)
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error
      this.#parts.toClient.add(encodeStatus(request.id, error.code, error.message))
    }
  }

  async #run(request: DecidedRequest, onHold: (paths: readonly string[]) => void): Promise<void> {
    const { authority, handles, planner } = this.#parts
    const opens = request.kind === 'open' || request.kind === 'opendir'
    if (opens && handles.full) throw new RequestRefused(status.failure, 'too many open handles')
    const handlePath = request.kind === 'fsetstat' ? handles.pathOf(request.handle) : undefined
    const plan = await planner.plan(request, handlePath)
    const { operation } = plan
    if (operation === undefined) return this.#act(request, plan, undefined)
    const answer = asked(authority, operation)
    if (!(answer instanceof Promise)) return this.#act(request, plan, allowedOnly(answer))
    onHold(operation.effects.map((effect) => effect.path))
    const allowed = allowedOnly(await answer.catch(() => failedDecision))
    this.#act(request, await this.#again(request, handlePath, operation, allowed), allowed)
  }

  /**
   * Resolves anew after a wait, in which anybody on the target may have moved a link: what runs is what was decided, or nothing.
   * A channel that ended meanwhile has nothing to resolve with; its operation gets its end from `running`.
   */
  async #again(request: DecidedRequest, handlePath: string | undefined, operation: FileOperation, allowed: Allowed): Promise<Plan> {
    let failure: unknown
    try {
      const plan = await this.#parts.planner.plan(request, handlePath)
      if (plan.operation !== undefined && sameEffects(plan.operation, operation)) return plan
      failure = new RequestRefused(status.permissionDenied, 'the path leads elsewhere than when it was decided')
    } catch (error) {
      failure = error
    }
    const finish = this.#parts.running.start(allowed, () => ({ status: 'interrupted' }))
    finish({ status: failure instanceof RequestRefused ? 'changed' : 'interrupted' })
    throw failure
  }

  #act(request: DecidedRequest, plan: Plan, allowed: Allowed | undefined): void {
    const { handles, link, running, toClient } = this.#parts
    let handle: OpenHandle | undefined
    const finish = allowed === undefined ? undefined : running.start(allowed, () => interrupted(handle))
    // The decision may come after the channel's end.
    if (running.ended) return
    const { act, opened } = plan
    if (act.to === 'client') {
      finish?.({ status: act.status })
      toClient.add(act.frame)
    } else if (opened !== undefined && finish !== undefined) {
      handles.open(act.frame, opened, finish, (open) => {
        handle = open
      })
    } else {
      if (plan.resized !== undefined) handles.changed(plan.resized.path, plan.resized.size)
      link.forward(act.frame, accepts[request.kind] ?? [], (reply, frame) => {
        handles.noteAccounts(reply)
        finish?.({ status: outcome(reply) })
        toClient.add(frame)
      })
    }
  }
}

const failedDecision: FileVerdict = { allowed: false, message: 'the decision failed' }

function asked(authority: FileAuthority, operation: FileOperation): FileVerdict | Promise<FileVerdict> {
  try {
    return authority.decide(operation)
  } catch {
    return failedDecision
  }
}

/** @throws {RequestRefused} for a denial */
function allowedOnly(verdict: FileVerdict): Allowed {
  if (!verdict.allowed) throw new RequestRefused(status.permissionDenied, verdict.message)
  return verdict
}

function sameEffects(one: FileOperation, other: FileOperation): boolean {
  return JSON.stringify(one.effects) === JSON.stringify(other.effects)
}

function interrupted(handle: OpenHandle | undefined): { status?: string } {
  const known = handle?.result(undefined)
  // A client that read to the end and left without closing has read it all.
  return known?.status === 'complete' ? known : { ...known, status: 'interrupted' }
}
