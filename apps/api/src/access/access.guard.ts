import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import type { Request, Response } from 'express'
import { forbidden, Problem } from '../problem/problem.js'
import { AccessService } from './access.service.js'
import { PERMISSION, type PermissionName } from './permission.js'
import type { Principal, Role } from './principal.js'

const rolesFor: Readonly<Record<Exclude<PermissionName, 'public' | 'signed-in'>, readonly Role[]>> = {
  admin: ['admin'],
  auditor: ['auditor', 'admin'],
  operator: ['operator', 'admin'],
  'policy-author': ['policy_author', 'operator', 'admin'],
  documents: ['auditor', 'policy_author', 'operator', 'admin'],
}

/** Stands before every route. What states no permission is refused. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly access: AccessService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const permission = this.reflector.getAllAndOverride<PermissionName | undefined>(PERMISSION, [context.getHandler(), context.getClass()])
    if (permission === undefined) return false
    if (permission === 'public') return true
    const request: Request & { principal?: Principal } = context.switchToHttp().getRequest()
    const principal = await this.access.authenticateRequest(request, context.switchToHttp().getResponse<Response>())
    if (!principal) {
      throw new Problem(401, 'UNAUTHENTICATED', 'A sign-in or a valid API token is needed.', {
        hint: 'In a browser, sign in; programs send Authorization: Bearer spt_… (POST /v1/tokens makes tokens).',
      })
    }
    request.principal = principal
    if (permission === 'signed-in') return true
    const roles = rolesFor[permission]
    if (roles.some((role) => principal.roles.includes(role))) return true
    throw forbidden('FORBIDDEN', `This needs the role ${roles.join(' or ')}.`)
  }
}
