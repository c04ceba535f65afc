import type { Command } from './command.js'

const mint = Symbol('permit')

/**
 * Proof that one command was decided, recorded and, where needed, approved. Minted by the guard only; an engine's
 * connection to the target takes one with every command that it sends, and uses it up.
 */
export class Permit {
  readonly kind = 'permit'
  #used = false
  private constructor(
    token: typeof mint,
    /** Ordinal of the command within the session. */
    readonly ordinal: number,
    readonly command: Command,
    /** Version of the grant that it was decided under. */
    readonly grantVersion: number,
    /** Monotonic start, nanoseconds. */
    readonly startedAt: bigint,
    /** The requirements that an approval met, where one was needed. */
    readonly approved: string | undefined,
  ) {
    if (token !== mint) throw new TypeError('a Permit is minted by the guard')
  }

  /** For the guard's module alone (not exported from the package). */
  static [mint](ordinal: number, command: Command, grantVersion: number, startedAt: bigint, approved: string | undefined): Permit {
    return new Permit(mint, ordinal, command, grantVersion, startedAt, approved)
  }

  /** Uses the permit up. Throws when it was used before: a command runs at most once. */
  consume(): void {
    if (this.#used) throw new Error('this Permit was used before')
    this.#used = true
  }
}

/** Package-internal: the one mint. */
export function mintPermit(ordinal: number, command: Command, grantVersion: number, startedAt: bigint, approved?: string): Permit {
  return Permit[mint](ordinal, command, grantVersion, startedAt, approved)
}

/** Proof that a command is not denied: the target may parse and describe it, but nothing of it may run. */
export class Clearance {
  readonly kind = 'clearance'
  private constructor(
    token: typeof mint,
    readonly command: Command,
  ) {
    if (token !== mint) throw new TypeError('a Clearance is minted by the guard')
  }
  static [mint](command: Command): Clearance {
    return new Clearance(mint, command)
  }
}

/** Package-internal. */
export function mintClearance(command: Command): Clearance {
  return Clearance[mint](command)
}
