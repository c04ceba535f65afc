import { Controller, Get, Module } from '@nestjs/common'
import { DiscoveryModule } from '@nestjs/core'
import { Test } from '@nestjs/testing'
import { describe, expect, it } from 'vitest'
import { Permission } from './permission.js'
import { RouteCheck } from './routes.js'

@Controller('one')
class OneController {
  @Get('stated')
  @Permission('admin')
  stated(): string {
    return ''
  }
  @Get('forgotten')
  forgotten(): string {
    return ''
  }
}

@Controller('two')
@Permission('auditor')
class TwoController {
  @Get()
  inherited(): string {
    return ''
  }
  @Get('open')
  @Permission('public')
  open(): string {
    return ''
  }
}

async function start(...controllers: (new () => unknown)[]): Promise<RouteCheck> {
  @Module({ imports: [DiscoveryModule], controllers, providers: [RouteCheck] })
  class AppModule {}
  const testing = await Test.createTestingModule({ imports: [AppModule] }).compile()
  await testing.init()
  return testing.get(RouteCheck)
}

describe('the route check', () => {
  it('refuses to start with a route that states no permission, and names it', async () => {
    await expect(start(OneController)).rejects.toThrow(/OneController\.forgotten \(GET one\/forgotten\)/)
  })
  it("takes a controller's permission for its routes, and a route's own over it", async () => {
    const routes = (await start(TwoController)).routes()
    expect(routes.map((route) => [route.handler, route.permission])).toEqual([
      ['inherited', 'auditor'],
      ['open', 'public'],
    ])
  })
})
