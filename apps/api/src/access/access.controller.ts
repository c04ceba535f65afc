import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { Idempotent } from '../idempotency/idempotent.js'
import { pageFrom } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { createTokenSchema, tokensQuerySchema, usersQuerySchema, type CreateToken, type TokenItem, type TokenReply, type TokensQuery, type UserItem, type UsersQuery } from './access.dto.js'
import { AccessService } from './access.service.js'
import { DirectoryService, type Person } from './directory.service.js'
import { CurrentUser, Permission } from './permission.js'
import type { Principal } from './principal.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { newTokenReply, tokenReply, userReply, whoamiReply } from './access.replies.js'

@ApiTags('access')
@ApiBearerAuth()
@Controller('v1')
export class AccessController {
  constructor(
    private readonly access: AccessService,
    private readonly directory: DirectoryService,
  ) {}

  @Get('whoami')
  @Permission('signed-in')
  @ApiOperation({ summary: 'Who this token, or this sign-in, speaks for' })
  @ApiReply(200, whoamiReply)
  whoami(@CurrentUser() user: Principal): { user: string; roles: readonly string[]; groups: readonly string[]; token_id?: string; csrf?: string } {
    return { user: user.user, roles: user.roles, groups: user.groups, ...(user.proof.kind === 'token' ? { token_id: user.proof.id } : { csrf: user.proof.csrf }) }
  }

  @Get('users')
  @Permission('auditor')
  @ApiOperation({ summary: 'All users' })
  @ApiReply(200, pageOf(userReply))
  @ApiQueryOf(usersQuerySchema)
  async users(@Query(new ZodPipe(usersQuerySchema)) query: UsersQuery): Promise<{ items: UserItem[]; next?: string }> {
    const { group, role } = query
    const people = (await this.directory.list()).filter((person) => (group === undefined || person.groups.includes(group)) && (role === undefined || person.roles.some((one) => one === role)))
    return pageFrom(people.map(userItem), ({ name }) => name, query)
  }

  @Get('tokens')
  @Permission('signed-in')
  @ApiOperation({ summary: 'API tokens without their secrets, newest first: all for an admin, else your own' })
  @ApiReply(200, pageOf(tokenReply))
  @ApiQueryOf(tokensQuerySchema)
  async tokens(@Query(new ZodPipe(tokensQuerySchema)) query: TokensQuery, @CurrentUser() user: Principal): Promise<{ items: TokenItem[]; next?: string }> {
    const rows = await this.access.listTokens(user.roles.includes('admin') ? undefined : user.user)
    const items = rows.map((row): TokenItem => ({
      id: row.id,
      user: row.user,
      name: row.name,
      created_at: row.createdAt.toISOString(),
      expires_at: row.expiresAt?.toISOString() ?? null,
      revoked_at: row.revokedAt?.toISOString() ?? null,
      last_used_at: row.lastUsedAt?.toISOString() ?? null,
    }))
    const asked = items.filter((item) => query.user === undefined || item.user === query.user)
    return pageFrom(asked, ({ created_at: createdAt, id }) => `${createdAt}~${id}`, query, 'descending')
  }

  @Post('tokens')
  @Idempotent()
  @Permission('admin')
  @ApiOperation({ summary: 'Mint an API token for a user; it is shown once' })
  @ApiBodyOf(createTokenSchema)
  @ApiReply(201, newTokenReply)
  async createToken(@Body(new ZodPipe(createTokenSchema)) body: CreateToken, @CurrentUser() user: Principal): Promise<TokenReply> {
    const made = await this.access.createToken({ user: body.user, name: body.name, ttlSeconds: body.ttl_seconds }, user.user)
    return { token: made.token, id: made.id, ...(made.expiresAt ? { expires_at: made.expiresAt.toISOString() } : {}) }
  }

  @Delete('tokens/:id')
  @HttpCode(204)
  @Permission('signed-in')
  @ApiOperation({ summary: 'Revoke a token: any for an admin, else your own' })
  @ApiReply(204)
  async revokeToken(@Param('id') id: string, @CurrentUser() user: Principal): Promise<void> {
    await this.access.revokeToken(id, user)
  }
}

function userItem(person: Person): UserItem {
  const { name, displayName, email, roles, groups, disabled, locked } = person
  return { name, ...(displayName === undefined ? {} : { display_name: displayName }), ...(email === undefined ? {} : { email }), roles, groups, disabled, locked }
}
