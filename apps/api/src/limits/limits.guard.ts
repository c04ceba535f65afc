import { Injectable, type CallHandler, type CanActivate, type ExecutionContext, type NestInterceptor } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import type { Request, Response } from 'express'
import type { Observable } from 'rxjs'
import { PERMISSION, type PermissionName } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { REPLY, type Reply } from '../openapi/reply.js'
import { LimitsService } from './limits.service.js'

const addressOf = (request: Request): string => request.socket.remoteAddress ?? 'unknown'

/** Before the guard that looks tokens up: a flood of wrong ones must not reach the database. */
@Injectable()
export class AddressLimitGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly limits: LimitsService,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const request: Request = context.switchToHttp().getRequest()
    const response: Response = context.switchToHttp().getResponse()
    // Probes and metrics are asked by the platform, and must be answered most of all when much is asked.
    if (!request.path.startsWith('/v1/')) return true
    this.limits.ofAddress(addressOf(request), response)
    const permission = this.reflector.getAllAndOverride<PermissionName | undefined>(PERMISSION, [context.getHandler(), context.getClass()])
    if (permission === 'public') this.limits.ofPublicRoute(addressOf(request), `${context.getClass().name}.${context.getHandler().name}`, response)
    return true
  }
}

/** After the guards: now it is known who asks. */
@Injectable()
export class PrincipalLimitInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly limits: LimitsService,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request: Request & { principal?: Principal } = context.switchToHttp().getRequest()
    const response: Response = context.switchToHttp().getResponse()
    const who = request.principal?.user
    if (who !== undefined) this.limits.ofPrincipal(who, response)
    const reply = this.reflector.get<Reply | undefined>(REPLY, context.getHandler())
    if (reply?.type === 'text/event-stream') this.limits.openStream(who ?? addressOf(request), response)
    return next.handle()
  }
}
