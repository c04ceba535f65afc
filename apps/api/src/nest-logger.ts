import type { LoggerService } from '@nestjs/common'
import type { Logger } from '@sallyport/telemetry'

/** Nest's logger on ours: one JSON object per line, the class as `context`. Nest's own start-up chatter is debug. */
export class NestLogger implements LoggerService {
  constructor(private readonly log_: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    const fromRoom = typeof message === 'object'
    this.log_[fromRoom ? 'info' : 'debug'](...entry(message, rest))
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.log_.error(...entry(message, rest))
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.log_.warn(...entry(message, rest))
  }
  debug(message: unknown, ...rest: unknown[]): void {
    this.log_.debug(...entry(message, rest))
  }
  verbose(message: unknown, ...rest: unknown[]): void {
    this.log_.trace(...entry(message, rest))
  }
  fatal(message: unknown, ...rest: unknown[]): void {
    this.log_.fatal(...entry(message, rest))
  }
}

/** Rooms log `{message, ...fields}`; Nest logs text, then perhaps a stack, then the context. */
function entry(message: unknown, rest: readonly unknown[]): [Record<string, unknown>, string] {
  const context = rest.at(-1)
  const fields: Record<string, unknown> = typeof context === 'string' ? { context } : {}
  if (typeof message === 'object' && message !== null && !(message instanceof Error)) {
    const { message: text, ...data } = { message: '', ...message }
    return [{ ...data, ...fields }, String(text)]
  }
  if (message instanceof Error) return [{ error: message, ...fields }, 'unexpected error']
  return [fields, String(message)]
}
