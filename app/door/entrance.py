"""What a web process needs at the doors of its rooms: whose address is counted, challenges, proofs of a wait, a
CAPTCHA, invitations, codes that move a place."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain.invited import Invited
from app.door.allowance import Allowance
from app.door.captcha import Captcha
from app.door.challenges import Challenges
from app.door.invitations import Invitations
from app.door.resume_codes import ResumeCodes
from app.door.waits import Waits
from app.limits.addresses import Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    addresses: Addresses
    challenges: Challenges
    waits: Waits
    invited: Invited
    invitations: Invitations
    resume_codes: ResumeCodes
    captcha: Captcha | None = None
    allowance: Allowance = field(default_factory=Allowance)
