import { Module } from '@nestjs/common'
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core'
import { AddressLimitGuard, PrincipalLimitInterceptor } from './limits.guard.js'
import { LimitsConfig } from './limits.config.js'
import { LimitsService } from './limits.service.js'

/** Rate limits of the whole API. Imported before the room of the access guard: guards stand in the order of their modules. */
@Module({
  providers: [LimitsConfig, LimitsService, { provide: APP_GUARD, useClass: AddressLimitGuard }, { provide: APP_INTERCEPTOR, useClass: PrincipalLimitInterceptor }],
})
export class LimitsModule {}
