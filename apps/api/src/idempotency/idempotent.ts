import { createHash } from 'node:crypto'
import { applyDecorators, Injectable, UseInterceptors, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common'
import { ApiHeader } from '@nestjs/swagger'
import type { Request, Response } from 'express'
import { catchError, from, mergeMap, of, type Observable } from 'rxjs'
import type { Principal } from '../access/principal.js'
import { badRequest } from '../problem/problem.js'
import { IdempotencyService } from './idempotency.service.js'

@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(private readonly service: IdempotencyService) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp()
    const request: Request & { principal?: Principal } = http.getRequest()
    const response: Response = http.getResponse()
    const key = request.headers['idempotency-key']
    const { principal } = request
    if (key === undefined || principal === undefined) return next.handle()
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw badRequest('INVALID_IDEMPOTENCY_KEY', 'Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.', 'A UUID is a good one.')
    }
    const { pathname, search } = new URL(request.originalUrl, 'http://localhost')
    // The token belongs to it: a token that may do less must not read what another one was answered.
    const scope = { principal: `${principal.user}/${principal.proof.kind}:${principal.proof.id}`, route: `${request.method} ${pathname}`, key }
    const asked = createHash('sha256').update(JSON.stringify([search, request.body ?? null])).digest('hex')
    const before = await this.service.begin(scope, asked)
    if (before) {
      response.setHeader('Idempotency-Replayed', 'true')
      return of(before.reply)
    }
    return next.handle().pipe(
      catchError((error: unknown) =>
        from(this.service.release(scope)).pipe(
          mergeMap(() => {
            throw error
          }),
        ),
      ),
      mergeMap(async (reply: unknown) => {
        await this.service.finish(scope, reply)
        return reply
      }),
    )
  }
}

/** Of a POST that creates: asked twice with the same `Idempotency-Key`, it creates once and answers the same. */
export const Idempotent = (): MethodDecorator =>
  applyDecorators(
    UseInterceptors(IdempotencyInterceptor),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'Chosen by you, new for each thing to create (a UUID). For a day the same request with the same key gets the same answer, and creates nothing more.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    }),
  )
