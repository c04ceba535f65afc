import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { GrpcModule } from '../grpc/grpc.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { NodesModule } from '../nodes/nodes.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { SinksModule } from '../sinks/sinks.module.js'
import { HealthController } from './health.controller.js'
import { HealthRepository } from './health.repository.js'
import { MetricsService } from './metrics.service.js'

@Module({ imports: [DatabaseModule, GrpcModule, IdentityModule, NodesModule, SessionsModule, SinksModule], controllers: [HealthController], providers: [HealthRepository, MetricsService] })
export class HealthModule {}
