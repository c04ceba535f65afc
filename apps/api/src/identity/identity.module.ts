import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { LockStoreModule } from '../locks/lock-store.module.js'
import { AuthFailures } from './auth-failures.js'
import { IdentityService } from './identity.service.js'

/** Tokens of identity providers, and who they speak for. */
@Module({ imports: [AccessModule, AuditModule, DocumentsModule, LockStoreModule], providers: [AuthFailures, IdentityService], exports: [AuthFailures, IdentityService] })
export class IdentityModule {}
