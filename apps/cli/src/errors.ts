/** Exit codes of the `sallyport` command itself; scripts rely on them. `sallyport exec` exits with its child's code. */
export const exitCode = {
  ok: 0,
  /** It failed, was refused by a check, or differs. */
  error: 1,
  usage: 2,
  /** Not signed in, not permitted, or not approved. */
  denied: 3,
  notFound: 4,
  conflict: 5,
  /** Nothing answers, or it can't work now. */
  unreachable: 6,
  /** As timeout(1) has it. */
  timedOut: 124,
} as const

/** An error for the person at the terminal: what happened, why, what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError'
  constructor(
    message: string,
    readonly details: { readonly why?: string; readonly next?: string; readonly exit?: number } = {},
  ) {
    super(message)
  }

  get exit(): number {
    return this.details.exit ?? exitCode.error
  }
}

export function usageError(message: string, next?: string): CliError {
  return new CliError(message, { exit: exitCode.usage, ...(next === undefined ? {} : { next }) })
}
