import { Module } from '@nestjs/common'
import { APP_GUARD, DiscoveryModule } from '@nestjs/core'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { AccessController } from './access.controller.js'
import { AccessGuard } from './access.guard.js'
import { AccessService } from './access.service.js'
import { DirectoryService } from './directory.service.js'
import { RouteCheck } from './routes.js'
import { TokensRepository } from './tokens.repository.js'

/** Users, API tokens and the guard before every route. */
@Module({
  imports: [AuditModule, DatabaseModule, DiscoveryModule, DocumentsModule],
  controllers: [AccessController],
  providers: [AccessService, DirectoryService, RouteCheck, TokensRepository, { provide: APP_GUARD, useClass: AccessGuard }],
  exports: [AccessService, DirectoryService, RouteCheck],
})
export class AccessModule {}
