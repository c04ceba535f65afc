import { createParamDecorator, SetMetadata, UnauthorizedException, type CustomDecorator, type ExecutionContext } from '@nestjs/common'
import type { Principal } from './principal.js'

/**
 * Who may call a route. `public`: anyone, without a token (the handler checks what it must). `signed-in`: any user who is
 * not disabled. `auditor`: role auditor or admin. `admin`: role admin. `operator`: role operator or admin. `policy-author`: whoever may
 * change some kind of document (each kind says who). `documents`: whoever may read them all.
 */
export type PermissionName = 'public' | 'signed-in' | 'auditor' | 'operator' | 'policy-author' | 'documents' | 'admin'

export const PERMISSION = 'sallyport:permission'

/** States the permission of a route (or of all routes of a controller). A route without one stops the application's start. */
export const Permission = (name: PermissionName): CustomDecorator => SetMetadata(PERMISSION, name)

/** The signed-in user of this request: `@CurrentUser() user: Principal`. */
export const CurrentUser = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const request: { principal?: Principal } = context.switchToHttp().getRequest()
  if (!request.principal) throw new UnauthorizedException()
  return request.principal
})
