import { Module } from '@nestjs/common'
import { APP_GUARD, DiscoveryModule } from '@nestjs/core'
import { AccountsModule } from '../accounts/accounts.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { HttpConfigModule } from '../config/http-config.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { LockStoreModule } from '../locks/lock-store.module.js'
import { AccessConfig } from './access.config.js'
import { AccessController } from './access.controller.js'
import { AccessGuard } from './access.guard.js'
import { AccessService } from './access.service.js'
import { DirectoryService } from './directory.service.js'
import { RouteCheck } from './routes.js'
import { WebSessionsService } from './web-sessions.service.js'
import { TokensRepository } from './tokens.repository.js'

/** Users, API tokens and the guard before every route. */
@Module({
  imports: [AccountsModule, AuditModule, DatabaseModule, HttpConfigModule, DiscoveryModule, DocumentsModule, LockStoreModule],
  controllers: [AccessController],
  providers: [AccessConfig, AccessService, DirectoryService, RouteCheck, TokensRepository, WebSessionsService, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [AccessConfig, AccessService, DirectoryService, RouteCheck, WebSessionsService],
})
export class AccessModule {}
