import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { LockStoreModule } from '../locks/lock-store.module.js'
import { PoliciesModule } from '../policies/policies.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { TargetsModule } from '../targets/targets.module.js'
import { CredentialLogin } from './credential-login.js'
import { CredentialsController } from './credentials.controller.js'
import { CredentialsRepository } from './credentials.repository.js'
import { CredentialsService } from './credentials.service.js'
import { PublicKeyLogin } from './public-key-login.js'
import { TokenController } from './token.controller.js'

/** Just-in-time credentials and token exchange. */
@Module({
  imports: [AccessModule, AuditModule, DatabaseModule, IdentityModule, KeysModule, LockStoreModule, PoliciesModule, SessionsModule, TargetsModule],
  controllers: [CredentialsController, TokenController],
  providers: [CredentialLogin, PublicKeyLogin, CredentialsRepository, CredentialsService],
  exports: [CredentialLogin, PublicKeyLogin, CredentialsService],
})
export class CredentialsModule {}
