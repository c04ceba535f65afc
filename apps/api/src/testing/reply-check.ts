import { isDeepStrictEqual } from 'node:util'
import { Injectable, Module, StreamableFile, type CallHandler, type DynamicModule, type ExecutionContext, type NestInterceptor } from '@nestjs/common'
import { APP_INTERCEPTOR, Reflector } from '@nestjs/core'
import type { Response } from 'express'
import { map, type Observable } from 'rxjs'
import { REPLY, type Reply } from '../openapi/reply.js'

/** What a route answered is not what its description says. */
export class ReplyMismatch extends Error {
  override readonly name = 'ReplyMismatch'
}

/** Compares every JSON answer with the schema that the route is documented with. A difference fails the request with a 500, and so the test. */
@Injectable()
export class ReplyCheck implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const reply = this.reflector.get<Reply | undefined>(REPLY, context.getHandler())
    if (reply?.type !== 'application/json') return next.handle()
    const response: Response = context.switchToHttp().getResponse()
    return next.handle().pipe(map((body: unknown) => checked(body, reply, response.statusCode)))
  }
}

/** Interceptors of any module serve the whole application. */
@Module({})
export class ReplyCheckModule {
  static register(): DynamicModule {
    return { module: ReplyCheckModule, providers: [{ provide: APP_INTERCEPTOR, useClass: ReplyCheck }] }
  }
}

/** @throws {ReplyMismatch} */
export function checked(body: unknown, { status, schema }: Reply, actualStatus: number): unknown {
  // A handler that refuses in its own words (token exchange) sets the status; those words are no reply.
  if (body instanceof StreamableFile || actualStatus >= 400) return body
  if (actualStatus !== status) throw new ReplyMismatch(`answered ${actualStatus}, documented is ${status}`)
  if (schema === undefined) {
    if (body !== undefined) throw new ReplyMismatch('answered with a body, none is documented')
    return body
  }
  const sent: unknown = JSON.parse(JSON.stringify(body))
  const parsed = schema.safeParse(sent)
  if (!parsed.success) throw new ReplyMismatch(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
  // What the schema doesn't know it leaves out.
  if (!isDeepStrictEqual(parsed.data, sent)) throw new ReplyMismatch(`members that are not documented: ${JSON.stringify(sent).slice(0, 300)} is read as ${JSON.stringify(parsed.data).slice(0, 300)}`)
  return body
}
