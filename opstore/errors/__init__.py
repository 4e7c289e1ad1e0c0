"""The one tree of everything that can go wrong; a docstring here is the sentence that a person is told.

```
OpstoreError
├── InvalidInput                 what was asked cannot be done as it stands: nothing was changed
│   ├── InvalidOperationId
│   ├── InvalidFileName
│   ├── InvalidMetadata
│   ├── InvalidSetting
│   ├── InputTooLarge
│   ├── TooManyInputs
│   ├── EmptyFile
│   ├── UnsupportedMedia
│   ├── InvalidRequest
│   │   ├── MethodNotAllowed
│   │   ├── UnknownParameter
│   │   ├── RepeatedParameter
│   │   ├── InvalidLimit
│   │   └── InvalidFit
│   ├── NotADemo
│   ├── KeyReused                an idempotency key, for another request
│   ├── WrongBody
│   ├── UnknownField
│   ├── WrongType
│   ├── BodyTooLarge
│   ├── BodyTooSlow
│   ├── InvalidQuery             with the place of the mistake: `position`, `length`
│   └── BudgetReached
│       ├── BudgetReachedUnpriced
│       ├── BudgetInOtherCurrency
│       └── SpentInOtherCurrency
├── SpendingUnknown              what counts against a budget cannot be read: nothing is paid
├── SettingsDamaged              what people chose cannot be read: nothing is paid, and nothing deleted by a rule
│   └── LimitsUnsaid             a file written by hand leaves out a budget: nothing is paid
├── SettingsChanged              a form of settings is older than the settings: nothing is saved unseen
├── ClockLeapt                   nobody can tell how old anything is: nothing is destroyed for its age
├── OperationNotFound
│   └── FileMissing
├── OperationExists              the id is taken by other content
├── OperationBusy                somebody else changed it first
│   └── OperationChanged         and whoever asks had seen it before
├── StorageError                 the disk or the folder said no
│   └── UnsafeFile
│       └── DamagedPack          what a packed month holds cannot be read
├── DamagedOperation             stored data that cannot be read
├── FetchError                   a result could not be downloaded
│   ├── FetchRefused
│   ├── FetchTooLarge
│   ├── FetchTimeout
│   └── FetchUnavailable         it may work in a moment
├── SignInWanted                 nobody has signed in, and somebody must
├── NotAllowed                   who has signed in may not do this
│   └── NoRole                   nor anything else
├── ForeignOrigin                another site asked in somebody's name
├── SignInBroken                 nobody can be let in
├── NotAdmitted                  a program from elsewhere, without the token
├── TooManyRequests              and the same later is no mistake
│   └── TooManyWrong
├── TooManyBodies
├── TooManyListeners
├── ShareError                   a link that was handed on opens nothing
│   ├── ShareNotFound
│   ├── ShareExpired
│   ├── ShareRevoked
│   ├── PasswordWanted
│   ├── PasswordWrong
│   └── TooManyTries
└── ProviderError                who makes the pictures said no
    ├── ProviderRefused
    ├── ProviderUnavailable
    ├── RateLimited
    ├── CreateUncertain          whether it was accepted, and is paid for, is not known
    └── Canceled
```

A docstring is a template, which a page translates, then fills in with what the class was raised with. `status` is the HTTP
answer, `exit_code` the command line's, `kind` what an operation that ends for it is counted under (`failure.KINDS`).
"""

from __future__ import annotations

from opstore.errors.of_providers import (
    Canceled,
    CreateUncertain,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from opstore.errors.root import OpstoreError
from opstore.errors.sentence import Said, said, shown

__all__ = [
    "Canceled",
    "CreateUncertain",
    "OpstoreError",
    "ProviderError",
    "ProviderRefused",
    "ProviderUnavailable",
    "RateLimited",
    "Said",
    "said",
    "shown",
]


class InvalidInput(OpstoreError):
    """This cannot be used: {reason}"""

    status = 400
    exit_code = 2
    kind = "invalid input"


class InvalidOperationId(InvalidInput):
    """{value} is not an operation id. An id is 14 digits, an underscore and 6 to 8 of 0-9 and a-f,
    like 20251103143022_abc123de.
    """

    def __init__(self, value: object) -> None:
        """`value` is what was given; it is shown shortened and escaped, whatever it is."""
        super().__init__(value=shown(value))


class InvalidFileName(InvalidInput):
    """{value} is not a file name of this store. Names look like 20251103143022_abc123de_in_1.jpg or …_out.webp."""

    def __init__(self, value: object) -> None:
        """`value` is what was given; it is shown shortened and escaped, whatever it is."""
        super().__init__(value=shown(value))


class InvalidMetadata(InvalidInput):
    """The metadata cannot be stored: {reason}"""


class InvalidSetting(InvalidInput):
    """The setting {name} cannot be used: {reason}"""


class InputTooLarge(InvalidInput):
    """Image {index} has {megabytes} MB; at most {limit} MB are accepted. Save it smaller or with stronger compression,
    and try again.
    """

    status = 413


class TooManyInputs(InvalidInput):
    """Too many images: {count} given, at most {limit} accepted. Remove some and try again."""


class EmptyFile(InvalidInput):
    """The {what} is empty. Choose a file that has content."""


class UnsupportedMedia(InvalidInput):
    """Image {index} is not a picture that can be read here. Use JPEG, PNG, WebP, GIF, HEIC or AVIF."""

    status = 415


class InvalidRequest(InvalidInput):
    """This request cannot be run: {reason}"""

    status = 422


class MethodNotAllowed(InvalidRequest):
    """This address does not answer {method}."""

    status = 405


class UnknownParameter(InvalidRequest):
    """There is no parameter {name} at this address. It takes: {known}"""

    status = 400


class RepeatedParameter(InvalidRequest):
    """The parameter {name} is given twice."""

    status = 400


class InvalidLimit(InvalidRequest):
    """limit must be a whole number from 0 to 10000."""

    status = 400


class InvalidFit(InvalidRequest):
    """These pictures cannot be laid on each other: {reason}"""

    status = 400


class InvalidQuery(InvalidInput):
    """This search cannot be run: {reason}"""


class NotADemo(InvalidInput):
    """The folder {folder} holds something that is not a demo's: {what}. Nothing was written. Name another folder with --data."""


class KeyReused(InvalidInput):
    """This idempotency key was used for another request. Choose a new key for each new request."""

    status = 422


class WrongBody(InvalidInput):
    """The body of this request cannot be read: {reason}"""


class UnknownField(InvalidInput):
    """This form has no field {name}. It takes {known}."""


class WrongType(InvalidInput):
    """The body of this request must be {wanted}; its Content-Type says something else."""

    status = 415


class BodyTooLarge(InvalidInput):
    """The body of this request is larger than {limit} MB. Send fewer or smaller images."""

    status = 413


class BodyTooSlow(InvalidInput):
    """The body of this request did not come in time. Try again over a faster connection."""

    status = 408


class BudgetReached(InvalidInput):
    """The budget for the {period} is ${limit}: ${used} are spent or under way, and this would cost about ${wanted}.
    Nothing was sent. Raise the budget in the settings, or wait for the next {period}.
    """

    status = 402
    kind = "payment"


class BudgetReachedUnpriced(BudgetReached):
    """The budget for the {period} is ${limit}: ${used} are spent or under way, and what this would cost is not known.
    Nothing was sent. Raise the budget in the settings, or wait for the next {period}.
    """


class BudgetInOtherCurrency(BudgetReached):
    """This has a price in another currency ({currency}); budgets are in US dollars, and nothing is converted. Nothing was sent.
    Choose another model, or take the budgets out of Settings.
    """


class SpentInOtherCurrency(BudgetReached):
    """The budget for the {period} is in US dollars, and something was paid in another currency ({currency}, operation
    {operation_id}), which is not converted. Nothing was sent. Wait for the next {period}, or take this budget out of Settings.
    """


class SettingsDamaged(OpstoreError):
    """The settings file {name} is damaged: {reason}. Until it is mended, nothing is sent that costs money, and nothing is removed
    by itself. Look through Settings and save them, or mend the file by hand.
    """

    status = 503
    kind = "payment"


class LimitsUnsaid(SettingsDamaged):
    """The settings file {name} does not say {key}, so nobody knows whether there is a limit; until it does, nothing is sent that
    costs money. Choose the budgets in Settings and save them, or write {key} into the file (null means no limit).
    """


class SpendingUnknown(OpstoreError):
    """What was spent cannot be counted, because {name} cannot be read; until it can, nothing is sent that costs money.
    Look at the page Storage what is wrong with it and repair it, or take the budgets out of Settings.
    """

    status = 503
    kind = "payment"


class SettingsChanged(OpstoreError):
    """The settings are not what this page has shown: they were changed, or damaged, meanwhile. Nothing was saved. The form shows
    them as they are now: change what you want, and save once more.
    """

    status = 409


class ClockLeapt(OpstoreError):
    """This machine's clock leapt from {before} to {after}. For a day nothing is removed for its age, since nobody can tell it.
    Look whether the clock is right; if it is, say so on the page Storage, or on the command line with --trust-clock.
    """

    status = 409


class OperationNotFound(OpstoreError):
    """There is no operation {operation_id} here. It may have been deleted, or the link belongs to another store."""

    status = 404
    kind = "not found"


class FileMissing(OperationNotFound):
    """There is no file {name} here. It may have been deleted, or never fetched."""


class OperationExists(OpstoreError):
    """The id {operation_id} is taken by an operation with other content. Nothing was changed; save under a new id."""

    status = 409


class OperationBusy(OpstoreError):
    """The operation {operation_id} was changed by somebody else meanwhile. Look at it again, then repeat your change."""

    status = 409


class OperationChanged(OperationBusy):
    """The operation {operation_id} is not as you have seen it any more: somebody changed it. Nothing was changed; look again."""

    status = 412


class StorageError(OpstoreError):
    """The storage did not do it: {reason}. Nothing was half saved."""

    status = 507
    kind = "storage"


class UnsafeFile(StorageError):
    """{name} is not a plain file (a link, a pipe or a folder), so it is not opened."""

    status = 404


class DamagedPack(UnsafeFile):
    """{name} cannot be read from its packed month: {reason}. The pack is left as it is; `verify` lists it."""


class DamagedOperation(OpstoreError):
    """The metadata file of {operation_id} cannot be read: {reason}. The file is left as it is; `verify` lists it."""

    status = 422
    kind = "storage"


class FetchError(OpstoreError):
    """The result could not be downloaded: {reason}"""

    status = 502
    kind = "network"


class FetchRefused(FetchError):
    """The result's address is not allowed: {reason}"""

    status = 400
    kind = "not understood"


class FetchTooLarge(FetchError):
    """The result is larger than {limit} MB, so the download was stopped."""

    kind = "not understood"


class FetchTimeout(FetchError):
    """The result did not arrive within {seconds} s."""

    kind = "timeout"


class FetchUnavailable(FetchError):
    """The result could not be downloaded just now: {reason}. Trying again may help."""

    status = 503


class SignInWanted(OpstoreError):
    """Sign in first."""

    status = 401
    kind = "access"


class NotAllowed(OpstoreError):
    """Your role does not allow this. Required: {roles}."""

    status = 403
    kind = "access"


class NoRole(NotAllowed):
    """The account {name} has no role here. Whoever runs this opstore can give it one."""


class ForeignOrigin(OpstoreError):
    """Another site asked for this in the name of whoever has signed in here."""

    status = 403


class SignInBroken(OpstoreError):
    """Sign-in is not set up completely here, so nobody is let in: {reason}"""

    status = 503


class NotAdmitted(OpstoreError):
    """This interface answers on this machine only; from elsewhere it wants a bearer token (OPSTORE_API_TOKEN)."""

    status = 401


class TooManyRequests(OpstoreError):
    """Too many requests. Wait {seconds} s, then go on."""

    status = 429


class TooManyWrong(TooManyRequests):
    """Too many wrong tokens. Wait {seconds} s; the right one is accepted at any time."""


class TooManyBodies(OpstoreError):
    """Too many requests with images are coming in at this moment. Try again in a few seconds."""

    status = 503


class TooManyListeners(OpstoreError):
    """Too many programs listen for events at this moment. Close some, or ask /api/jobs."""

    status = 503


class ShareError(OpstoreError):
    """This link cannot be opened."""

    status = 404


class ShareNotFound(ShareError):
    """This link leads nowhere. It may have been cut when it was copied, or its content was removed."""


class ShareExpired(ShareError):
    """This link has expired. Ask whoever sent it for a new one."""

    status = 410


class ShareRevoked(ShareError):
    """This link was revoked by whoever sent it."""

    status = 410


class PasswordWanted(ShareError):
    """This link asks for a password."""

    status = 401


class PasswordWrong(ShareError):
    """This is not the password of this link."""

    status = 403


class TooManyTries(ShareError):
    """Too many wrong passwords. Wait {seconds} s, then try again."""

    status = 429
