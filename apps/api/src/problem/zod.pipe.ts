import type { PipeTransform } from '@nestjs/common'
import { z } from 'zod'
import { Problem } from './problem.js'

/**
 * Validates a body, query or parameter with a zod schema: `@Body(new ZodPipe(schema)) body: Schema`. Use strict objects,
 * so that a key nobody asked for is refused (mass assignment).
 */
export class ZodPipe<T> implements PipeTransform<unknown, T> {
  constructor(private readonly schema: z.ZodType<T>) {}

  transform(value: unknown): T {
    const parsed = this.schema.safeParse(value ?? {})
    if (parsed.success) return parsed.data
    const errors = parsed.error.issues.slice(0, 50).map((issue) => ({ path: issue.path.join('.'), message: issue.message }))
    throw new Problem(400, 'INVALID_REQUEST', 'The request is not valid: ' + errors.map((e) => (e.path ? `${e.path}: ` : '') + e.message).join('; '), {
      errors,
    })
  }
}
