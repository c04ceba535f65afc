import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AccountsModule } from '../accounts/accounts.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { HttpConfigModule } from '../config/http-config.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { OffboardingService } from './offboarding.service.js'
import { OidcService } from './oidc.service.js'
import { SigninConfig } from './signin.config.js'
import { SigninController } from './signin.controller.js'
import { SigninService } from './signin.service.js'
import { UsedTokensRepository } from './used-tokens.repository.js'

/** People sign in at their identity provider. */
@Module({
  imports: [AccessModule, AccountsModule, AuditModule, DatabaseModule, HttpConfigModule, DocumentsModule, IdentityModule, KeysModule],
  controllers: [SigninController],
  providers: [OffboardingService, OidcService, SigninConfig, SigninService, UsedTokensRepository],
})
export class SigninModule {}
