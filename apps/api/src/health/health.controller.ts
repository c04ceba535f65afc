import { Controller, Get, Header, Res } from '@nestjs/common'
import { ApiExcludeController } from '@nestjs/swagger'
import type { Response } from 'express'
import { Permission } from '../access/permission.js'
import { GrpcServer } from '../grpc/grpc.server.js'
import { HealthRepository } from './health.repository.js'
import { MetricsService } from './metrics.service.js'

@ApiExcludeController()
@Controller()
@Permission('public')
export class HealthController {
  constructor(
    private readonly health: HealthRepository,
    private readonly grpc: GrpcServer,
    private readonly metrics: MetricsService,
  ) {}

  /** The process answers. */
  @Get('healthz')
  @Header('content-type', 'text/plain')
  alive(): string {
    return 'ok\n'
  }

  /** It can do its work. */
  @Get('readyz')
  async ready(@Res({ passthrough: true }) response: Response) {
    const checks = { database: await this.health.answers(), grpc: this.grpc.isListening }
    const ok = checks.database && checks.grpc
    response.status(ok ? 200 : 503)
    return { ok, checks }
  }

  @Get('metrics')
  async prometheus(@Res() response: Response): Promise<void> {
    response.type(this.metrics.contentType).send(await this.metrics.text())
  }
}
