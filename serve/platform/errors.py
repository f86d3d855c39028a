"""What only HTTP can refuse; everything else is `domain.errors`.

AtriumError
├── MethodNotAllowedError      405   `Allow` says what is
├── RequestTimeoutError        408   the body did not come in time
├── PayloadTooLargeError       413
└── UnsupportedMediaTypeError  415
"""

from domain.errors import AtriumError


class MethodNotAllowedError(AtriumError):
    code = "method_not_allowed"
    status = 405


class RequestTimeoutError(AtriumError):
    code = "request_timeout"
    status = 408


class PayloadTooLargeError(AtriumError):
    code = "payload_too_large"
    status = 413


class UnsupportedMediaTypeError(AtriumError):
    code = "unsupported_media_type"
    status = 415
