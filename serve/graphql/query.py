"""The root of every query: where one can begin, and which scope an API key needs for it."""

from serve.graphql import carts as of_carts
from serve.graphql import clinics as of_clinics
from serve.graphql import documents as of_documents
from serve.graphql import jobs as of_jobs
from serve.graphql import orders as of_orders
from serve.graphql import people as of_people
from serve.graphql import sessions as of_sessions
from serve.graphql import shops as of_shops
from serve.graphql.connections import Connection
from serve.graphql.context import reads
from serve.graphql.derive import described


@described
class Query:
    """What REST serves, for reading. Whatever one may not see is null, with an error that says `not_found`."""

    me = reads("", of_people.me, of_people.Me)
    person = reads("users", of_people.person, of_people.Person)
    people = reads("users", of_people.people, Connection[of_people.Person])
    organization = reads("organizations", of_clinics.organization, of_clinics.Organization)
    organizations = reads("organizations", of_clinics.organizations, Connection[of_clinics.Organization])
    location = reads("locations", of_clinics.location, of_clinics.Location)
    locations = reads("locations", of_clinics.locations, Connection[of_clinics.Location])
    countries = reads("locations", of_clinics.countries, list[of_clinics.CountryCount], public=True)
    room = reads("rooms", of_clinics.room, of_clinics.Room)
    session = reads("sessions", of_sessions.session, of_sessions.Session)
    sessions = reads("sessions", of_sessions.sessions, Connection[of_sessions.SessionEntry])
    document = reads("documentation", of_documents.document, of_documents.Document)
    documents = reads("documentation", of_documents.documents, Connection[of_documents.DocumentEntry])
    cosign_queue = reads("documentation", of_documents.cosign_queue, Connection[of_documents.DocumentEntry])
    merchant = reads("merchants", of_shops.merchant, of_shops.Merchant, public=True)
    merchants = reads("merchants", of_shops.merchants, Connection[of_shops.Merchant], public=True)
    product = reads("products", of_shops.product, of_shops.Product, public=True)
    products = reads("products", of_shops.products, Connection[of_shops.Product], public=True)
    cart = reads("carts", of_carts.cart, of_carts.Cart)
    carts = reads("carts", of_carts.carts, Connection[of_carts.CartEntry])
    order = reads("orders", of_orders.order, of_orders.Order)
    orders = reads("orders", of_orders.orders, Connection[of_orders.OrderEntry])
    order_stats = reads("orders", of_orders.order_stats, of_orders.OrderStats)
    tracking = reads("orders", of_orders.tracking, of_orders.OrderTracking, public=True)
    job = reads("jobs", of_jobs.job, of_jobs.Job)
    jobs = reads("jobs", of_jobs.jobs, Connection[of_jobs.Job])
