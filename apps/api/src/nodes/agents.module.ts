import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { AgentsController } from './agents.controller.js'
import { NodesModule } from './nodes.module.js'
import { NodesService } from './nodes.service.js'

/** The administrators' side of gateways and agents; apart from NodesModule, because revoking kills sessions. */
@Module({ imports: [AuditModule, NodesModule, NotifyModule, SessionsModule], controllers: [AgentsController], providers: [NodesService] })
export class AgentsModule {}
