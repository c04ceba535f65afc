import { Body, Controller, HttpCode, Post } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiReply } from '../openapi/reply.js'
import { ApiBodyOf } from '../openapi/schema.js'
import { notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { ErasureService, type Erased } from './erasure.service.js'
import { PersonsRepository } from './persons.repository.js'
import { erasedReply, personReply } from './privacy.replies.js'

const identifier = z.string().min(1).max(512)
const eraseSchema = z.strictObject({ identifiers: z.array(identifier).min(1).max(50), reason: z.string().min(3).max(1000) })
const findSchema = z.strictObject({ identifier })

@ApiTags('privacy')
@ApiBearerAuth()
@Controller('v1/privacy')
export class PrivacyController {
  constructor(
    private readonly erasure: ErasureService,
    private readonly persons: PersonsRepository,
  ) {}

  @Post('find')
  @HttpCode(200)
  @Permission('auditor')
  @ApiBodyOf(findSchema)
  @ApiReply(200, personReply)
  @ApiOperation({ summary: 'Whom an identifier belongs to, and what stands for the person in the log', description: 'A POST, so that names stand in no access log.' })
  async find(@Body(new ZodPipe(findSchema)) body: z.infer<typeof findSchema>): Promise<{ person: string; identifiers: { identifier: string; pseudonym: string }[] }> {
    const found = await this.persons.personOf(body.identifier)
    if (!found) throw notFound('person in the log with this identifier')
    return { person: found.id, identifiers: [...found.identifiers].map(([pseudonym, value]) => ({ identifier: value, pseudonym })) }
  }

  @Post('erase')
  @HttpCode(200)
  @Permission('admin')
  @ApiBodyOf(eraseSchema)
  @ApiReply(200, erasedReply)
  @ApiOperation({
    summary: 'Delete the key of a person: the log stays as it is and proves itself, and nobody can tell any more whom its pseudonyms stood for',
    description: 'Give every identifier of the person that is not linked by a User document. Refused while the user exists, has live sessions, or is under a legal hold.',
  })
  erase(@Body(new ZodPipe(eraseSchema)) body: z.infer<typeof eraseSchema>, @CurrentUser() user: Principal): Promise<Erased> {
    return this.erasure.erase(body.identifiers, body.reason, user.user)
  }
}
