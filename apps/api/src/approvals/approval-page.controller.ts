import { Controller, Get, Header, Param } from '@nestjs/common'
import { ApiExcludeController } from '@nestjs/swagger'
import { z } from 'zod'
import { Permission } from '../access/permission.js'
import { ZodPipe } from '../problem/zod.pipe.js'

/**
 * Where the link in a client's notice leads. It says how to decide and nothing about the approval, so it needs no login,
 * and answers the same whether the id exists or not.
 */
@ApiExcludeController()
@Controller('approvals')
export class ApprovalPageController {
  @Get(':id')
  @Permission('public')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  page(@Param('id', new ZodPipe(z.uuid())) id: string): string {
    return `A command waits for approval ${id}.\n\nTo look at it and decide:\n\n  sallyport approvals show ${id}\n  sallyport approvals approve ${id} --reason "..."\n  sallyport approvals reject ${id} --reason "..."\n`
  }
}
