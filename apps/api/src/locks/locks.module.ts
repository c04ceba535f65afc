import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { NodesModule } from '../nodes/nodes.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { LockStoreModule } from './lock-store.module.js'
import { LocksController } from './locks.controller.js'
import { LocksService } from './locks.service.js'

/** Locks: identities, targets and agents that get no sessions. */
@Module({ imports: [AccessModule, AuditModule, DocumentsModule, LockStoreModule, NodesModule, SessionsModule], controllers: [LocksController], providers: [LocksService] })
export class LocksModule {}
