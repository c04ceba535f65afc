import type { Denial, Guard, Permit, SessionEnd } from '@sallyport/kit'

/** A request that was permitted and goes on. */
export interface RunningRequest {
  readonly permit: Permit
  /** Ends it, with the record of its end; the client is told where the protocol has a way. */
  cut(why: { readonly message: string; readonly rule: string }): void
}

/**
 * What runs in a session: watches, logs, port-forwards and commands that outlive the moment in which they were decided. When
 * the policy changes under them they are asked again.
 */
export class RunningRequests {
  readonly #running = new Set<RunningRequest>()
  #version: number
  /** Requests that wait for people. */
  holding = 0

  constructor(private readonly guard: Guard) {
    this.#version = guard.grantVersion
  }

  add(request: RunningRequest): () => void {
    this.#running.add(request)
    return () => this.#running.delete(request)
  }

  /** Cheap while the policy stays the same. */
  recheck(): void {
    if (this.guard.grantVersion === this.#version) return
    this.#version = this.guard.grantVersion
    for (const request of this.#running) {
      const denial: Denial | undefined = this.guard.stands(request.permit)
      if (denial !== undefined) this.#end(request, { message: denial.message, rule: denial.rule })
    }
  }

  endAll(end: SessionEnd): void {
    for (const request of this.#running) this.#end(request, { message: end.message ?? 'the session has ended', rule: 'session-over' })
  }

  #end(request: RunningRequest, why: { message: string; rule: string }): void {
    this.#running.delete(request)
    request.cut(why)
  }
}
