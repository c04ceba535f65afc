import { Controller, Get, Param, Query } from '@nestjs/common'
import { ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { Permission } from '../access/permission.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiQueryOf } from '../openapi/schema.js'
import { notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { TargetsService, viewOf, type Connection, type TargetView } from './targets.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { connectionReply, targetReply } from './targets.replies.js'

const listSchema = pageQuery.extend({ protocol: z.string().max(63).optional() })

@ApiTags('targets')
@Controller('v1/targets')
@Permission('signed-in')
export class TargetsController {
  constructor(private readonly targets: TargetsService) {}

  @Get()
  @ApiReply(200, pageOf(targetReply))
  @ApiQueryOf(listSchema)
  @ApiOperation({ summary: 'Targets by name' })
  async list(@Query(new ZodPipe(listSchema)) query: z.infer<typeof listSchema>): Promise<{ items: TargetView[]; next?: string }> {
    const { protocol } = query
    return pageFrom((await this.targets.list()).filter((target) => protocol === undefined || target.protocol === protocol), ({ name }) => name, query)
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
