"""What the endpoints of accounts read, as their documentation shows it."""

from __future__ import annotations

from bkjs.web import Field, Params


class Ids(Params):
    """Whose accounts."""

    id: str = Field("", description="ids of others, with commas; the own account without")


class Secrets(Params):
    """What an account signs in with."""

    secret: str = Field("", description="what requests are signed with; 16 characters at least")
    password: str = Field("", description="8 characters at least; brings a new secret")


class NewSecrets(Secrets):
    """What is to be changed."""

    token_secret: str = Field("", description="anything: all access tokens end")


class Profile(Secrets):
    """The columns of an account."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    website: str = ""
    company: str = ""
    birthday: str = ""
    gender: str = ""
    street: str = ""
    city: str = ""
    county: str = ""
    state: str = ""
    zipcode: str = ""
    country: str = ""
    device_id: str = ""
    status: str = ""
    type: str = Field("", description="taken from administrators only")


class SignUp(Profile):
    """A new account: with a secret or a password."""

    login: str
    name: str


class Search(Params):
    """Columns that the caller may see, and how to answer."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    ops: str = Field("", alias="_ops", description="operators by column: name,begins_with")
    sort: str = Field("", alias="_sort")
    desc: bool | None = Field(None, alias="_desc")
    count: int = Field(32, alias="_count", le=999)
    start: str = Field("", alias="_start", description="next_token of the page before")
    total: bool | None = Field(None, alias="_total", description="only the number")
