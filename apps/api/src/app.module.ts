import { Module, type DynamicModule } from '@nestjs/common'
import { AccessModule } from './access/access.module.js'
import { ApprovalsModule } from './approvals/approvals.module.js'
import { AuditModule } from './audit/audit.module.js'
import { BootstrapModule } from './bootstrap/bootstrap.module.js'
import { ConfigModule } from './config/config.module.js'
import type { Environment } from './config/environment.js'
import { HttpConfigModule } from './config/http-config.module.js'
import { CredentialsModule } from './credentials/credentials.module.js'
import { DatabaseModule } from './database/database.module.js'
import { DocumentsModule } from './documents/documents.module.js'
import { GrpcModule } from './grpc/grpc.module.js'
import { HealthModule } from './health/health.module.js'
import { IdempotencyModule } from './idempotency/idempotency.module.js'
import { IdentityModule } from './identity/identity.module.js'
import { KeysModule } from './keys/keys.module.js'
import { LimitsModule } from './limits/limits.module.js'
import { LocksModule } from './locks/locks.module.js'
import { AgentsModule } from './nodes/agents.module.js'
import { NodesModule } from './nodes/nodes.module.js'
import { NotifyModule } from './notify/notify.module.js'
import { PoliciesModule } from './policies/policies.module.js'
import { PrivacyModule } from './privacy/privacy.module.js'
import { ProblemModule } from './problem/problem.module.js'
import { SessionsModule } from './sessions/sessions.module.js'
import { RetentionModule } from './retention/retention.module.js'
import { SigninModule } from './signin/signin.module.js'
import { SinksModule } from './sinks/sinks.module.js'
import { SshModule } from './ssh/ssh.module.js'
import { TargetsModule } from './targets/targets.module.js'

/** The control plane's rooms. */
@Module({})
export class AppModule {
  static register(environment: Environment, more: readonly DynamicModule[] = []): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.register(environment),
        HttpConfigModule, DatabaseModule, NotifyModule, KeysModule, ProblemModule, LimitsModule, IdempotencyModule,
        AuditModule, DocumentsModule, PoliciesModule, AccessModule, ApprovalsModule,
        IdentityModule, NodesModule, TargetsModule, SessionsModule, CredentialsModule, AgentsModule, LocksModule, SshModule, SinksModule, RetentionModule, PrivacyModule, SigninModule,
        GrpcModule, HealthModule, BootstrapModule, ...more,
      ],
    }
  }
}
