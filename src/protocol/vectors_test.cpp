// The vectors in spec/vectors, which the SDKs' tests read too.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "protocol/channel_name.h"
#include "protocol/decode.h"
#include "testing/source_dir.h"

namespace tidewire::protocol {
namespace {

nlohmann::json vectors(const std::string& name) {
  std::ifstream file(std::string(TIDEWIRE_SOURCE_DIR) + "/spec/vectors/" + name + ".json");
  return nlohmann::json::parse(file).at("vectors");
}

TEST(Vectors, RequestsAreTakenOrRefusedAsTheySay) {
  for (const auto& vector : vectors("protocol_requests")) {
    const std::string text = vector.at("text");
    const auto request = decode(text, 64);
    const nlohmann::json code =
        request ? nlohmann::json() : nlohmann::json(name_of(request.error().error.code));
    EXPECT_EQ(code, vector.at("code")) << text;
    EXPECT_EQ(request ? request->id : request.error().id, vector.value("id", "")) << text;
  }
}

TEST(Vectors, ChannelNamesAreValidOrNot) {
  for (const auto& vector : vectors("protocol_channels")) {
    const std::string name = vector.at("channel");
    EXPECT_EQ(is_valid_channel(name), !vector.at("namespace").is_null()) << name;
    if (!vector.at("namespace").is_null()) {
      EXPECT_EQ(namespace_of(name), vector.at("namespace").get<std::string>());
    }
  }
}

}  // namespace
}  // namespace tidewire::protocol
