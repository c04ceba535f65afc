import { Controller, Get, Param } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import { Permission } from '../access/permission.js'
import { notFound } from '../problem/problem.js'
import { TargetsService, viewOf, type Connection, type TargetView } from './targets.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { connectionReply, targetReply } from './targets.replies.js'

@ApiTags('targets')
@Controller('v1/targets')
@Permission('signed-in')
export class TargetsController {
  constructor(private readonly targets: TargetsService) {}

  @Get()
  @ApiReply(200, pageOf(targetReply))
  async list(): Promise<{ items: TargetView[] }> {
    return { items: await this.targets.list() }
  }

  @Get(':name')
  @ApiReply(200, targetReply)
  async find(@Param('name') name: string): Promise<TargetView> {
    const target = await this.targets.find(name)
    if (!target) throw notFound(`target ${name}`)
    return viewOf(target)
  }

  @Get(':name/connection')
  @ApiReply(200, connectionReply)
  async connection(@Param('name') name: string): Promise<Connection> {
    const target = await this.targets.find(name)
    if (!target) throw notFound(`target ${name}`)
    return this.targets.connection(target, target.name)
  }
}
