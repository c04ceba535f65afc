import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { LockStoreModule } from '../locks/lock-store.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { AgentLinkService } from './agent-link.service.js'
import { AgentLinks } from './agent-links.js'
import { EnrolmentService } from './enrolment.service.js'
import { LinkRegistry } from './link-registry.js'
import { NodesRepository } from './nodes.repository.js'
import { PresenceRepository } from './presence.repository.js'
import { PresenceService } from './presence.service.js'
import { Replica } from './replica.js'

/** Gateways and agents: enrolment, presence, messages to agents. */
@Module({
  imports: [AuditModule, DatabaseModule, KeysModule, LockStoreModule, NotifyModule],
  providers: [AgentLinks, { provide: AgentLinkService, useExisting: AgentLinks }, EnrolmentService, LinkRegistry, NodesRepository, PresenceRepository, PresenceService, Replica],
  exports: [AgentLinkService, EnrolmentService, LinkRegistry, NodesRepository, PresenceRepository, PresenceService],
})
export class NodesModule {}
