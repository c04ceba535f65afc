import { Module } from '@nestjs/common'
import { ApprovalsModule } from '../approvals/approvals.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { CredentialsModule } from '../credentials/credentials.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { NodesModule } from '../nodes/nodes.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { AgentMessagesService } from './agent-messages.service.js'
import { GrpcConfig } from './grpc.config.js'
import { GrpcServer } from './grpc.server.js'
import { LinkService } from './link.service.js'
import { OpenSessionService } from './open-session.service.js'
import { PeerAuthenticator } from './peer.js'

/** What gateways speak to. */
@Module({
  imports: [ApprovalsModule, AuditModule, CredentialsModule, IdentityModule, KeysModule, NodesModule, SessionsModule],
  providers: [AgentMessagesService, GrpcConfig, GrpcServer, LinkService, OpenSessionService, PeerAuthenticator],
  exports: [GrpcServer, OpenSessionService],
})
export class GrpcModule {}
